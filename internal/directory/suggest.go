package directory

import (
	"cmp"
	"slices"
	"strings"
)

// didYouMean phrases the nearest of the known words as a question, or "" when
// nothing is near.
func didYouMean(word string, known []string) string {
	near := nearest(word, known)
	if len(near) == 0 {
		return ""
	}
	return "did you mean " + strings.Join(near, " or ") + "?"
}

// nearest returns up to three of the known words that a person may have meant,
// best first: those that share a whole part with the word, or that a few
// keystrokes turn into it.
func nearest(word string, known []string) []string {
	word = strings.ToLower(strings.TrimSpace(word))
	if r := []rune(word); len(r) > 64 { // no word of ours is; the comparison is quadratic
		return nil
	}
	type candidate struct {
		word string
		cost int
	}
	var found []candidate
	for _, k := range known {
		cost := distance(word, k)
		switch {
		case cost <= max(1, len(k)/3):
		case sharesPart(word, k):
			cost += len(k)
		default:
			continue
		}
		found = append(found, candidate{k, cost})
	}
	slices.SortFunc(found, func(a, b candidate) int { return cmp.Or(cmp.Compare(a.cost, b.cost), strings.Compare(a.word, b.word)) })
	var words []string
	for _, c := range found[:min(3, len(found))] {
		words = append(words, c.word)
	}
	return words
}

// sharesPart reports whether the words have a part of four letters or more in
// common: "dental-clinic" and "medical-clinic".
func sharesPart(a, b string) bool {
	split := func(r rune) bool { return r == '-' || r == '_' || r == '.' || r == ' ' }
	parts := strings.FieldsFunc(b, split)
	return slices.ContainsFunc(strings.FieldsFunc(a, split), func(p string) bool {
		return len(p) >= 4 && slices.Contains(parts, p)
	})
}

// distance is the number of letters to add, drop or change, with two neighbours
// swapped counted as one (optimal string alignment).
func distance(from, to string) int {
	a, b := []rune(from), []rune(to)
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
