package config

import "strings"

// suggestion names the setting that was probably meant, if one is near.
func suggestion(name string) string {
	name = strings.ToUpper(name)
	best, distance := "", min(3, len(name)/2+1)
	for _, s := range Settings {
		if len(name) > 2*len(s.Name) { // not near, and too long to compare
			continue
		}
		if d := edits(name, s.Name); d < distance {
			best, distance = s.Name, d
		}
	}
	if best == "" {
		return "; `directorybolt config print` lists them"
	}
	return "; did you mean " + best + "?"
}

// edits is the number of letters to add, drop or change that makes a of b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
