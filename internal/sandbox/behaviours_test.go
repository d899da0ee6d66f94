package sandbox

import (
	"slices"
	"strings"
	"testing"
)

// everyBehaviour starts a sandbox with each behaviour once.
func everyBehaviour(t testing.TB) *Sandbox {
	names := behaviourNames()
	return start(t, Config{Count: len(names), Behaviours: names, Scale: 0.2})
}

// TestCarefulVisitorMeetsWhatEachBehaviourPromises drives every directory by its
// catalog entry alone and compares with the table of behaviours.
func TestCarefulVisitorMeetsWhatEachBehaviourPromises(t *testing.T) {
	b := everyBehaviour(t)
	for i, d := range b.Catalog() {
		behaviour, ok := b.Behaviour(d.Slug)
		if !ok {
			t.Fatalf("no behaviour of %s", d.Slug)
		}
		t.Run(behaviour.Name, func(t *testing.T) {
			t.Parallel()
			profile := business(i)
			state, need := newVisitor(t, d, profile).submit()
			if !slices.Contains(behaviour.Expect, state) {
				t.Errorf("rests as %s, want one of %v", state, behaviour.Expect)
			}
			if state == "needs_action" && need != behaviour.Need {
				t.Errorf("needs %q, want %q", need, behaviour.Need)
			}
			w := b.Witness()
			if got := w.Count(d.Slug, Key(profile["website"], profile["phone"])); got != behaviour.Lists {
				t.Errorf("took the business in %d times, want %d; posts: %+v", got, behaviour.Lists, posts(w, d.Slug))
			}
			r, _ := w.Directory(d.Slug)
			for _, c := range slices.Concat(r.Accepted, r.Held) {
				if c.Name != profile["name"] {
					t.Errorf("listed as %q, want %q", c.Name, profile["name"])
				}
			}
		})
	}
}

// TestTwoPostsAreTwoListings drives every directory that lists twice: only where
// refusing doubles is the behaviour does one listing come of it.
func TestTwoPostsAreTwoListings(t *testing.T) {
	b := everyBehaviour(t)
	for i, d := range b.Catalog() {
		behaviour, _ := b.Behaviour(d.Slug)
		if behaviour.Lists == 0 {
			continue
		}
		t.Run(behaviour.Name, func(t *testing.T) {
			t.Parallel()
			profile := business(i)
			newVisitor(t, d, profile).submit()
			newVisitor(t, d, profile).submit()
			key := Key(profile["website"], profile["phone"])
			want := []Double{{d.Slug, key, 2}}
			if behaviour.Name == "duplicates" {
				want = nil
			}
			doubles := func() []Double {
				return slices.DeleteFunc(b.Witness().Doubles(), func(x Double) bool { return x.Directory != d.Slug })
			}
			// A directory that answers late lists when its visitor is gone.
			if !eventually(func() bool { return slices.Equal(doubles(), want) }) {
				t.Errorf("doubles %v, want %v; posts: %+v", doubles(), want, posts(b.Witness(), d.Slug))
			}
		})
	}
}

func TestShowBringsEveryBehaviourAndMostOfThemEarly(t *testing.T) {
	b := start(t, Config{})
	if got, want := len(b.Catalog()), 64; got != want {
		t.Fatalf("%d directories, want %d", got, want)
	}
	var all, early []string
	for i, d := range b.Catalog() {
		behaviour, _ := b.Behaviour(d.Slug)
		all = append(all, behaviour.Name)
		if i < 50 {
			early = append(early, behaviour.Name)
		}
		if i > 0 && d.Authority >= b.Catalog()[i-1].Authority {
			t.Errorf("%s has authority %d, not less than the one before", d.Slug, d.Authority)
		}
	}
	for _, name := range behaviourNames() {
		if !slices.Contains(all, name) {
			t.Errorf("%s is not in the show", name)
		}
	}
	slices.Sort(early)
	if got := len(slices.Compact(early)); got < 45 {
		t.Errorf("a starter order meets %d behaviours, want 45", got)
	}
}

func TestBehavioursAreRestrictedAndRepeated(t *testing.T) {
	b := start(t, Config{Count: 5, Behaviours: []string{"plain", "csrf"}})
	var got []string
	for _, d := range b.Catalog() {
		behaviour, _ := b.Behaviour(d.Slug)
		got = append(got, behaviour.Name)
	}
	if want := "plain csrf plain csrf plain"; strings.Join(got, " ") != want {
		t.Errorf("behaviours %v, want %s", got, want)
	}
}

func posts(w Witness, slug string) []Post {
	r, _ := w.Directory(slug)
	return r.Posts
}
