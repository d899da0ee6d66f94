// Package formfield tells which control of a form wants which part of a business
// profile. It is pure: a form comes in as a model, be it from a parsed page or
// from a browser, and ranked guesses with their evidence go out.
//
// A guess rests on what the page says of the control, in this order: the
// autocomplete token, the type, the label, the words of name, id, placeholder and
// ARIA label, the text beside it, and what the other controls of the form are.
// Two signs that agree strengthen each other; two strong signs that disagree
// cancel each other. The element's tag alone is never a sign.
//
// What must not be filled in by a guess is rejected by name: traps for robots,
// passwords, captchas, newsletters, coupons, card numbers, consent.
package formfield

// Fill is the confidence from which a guess may be filled in. What is below stays
// empty; an empty field is corrected by a person, a wrong one is published.
const Fill = 0.9
