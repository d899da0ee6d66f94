// Package httpform submits a business by plain HTML forms: it fetches the page,
// fills in the form as a browser would serialise it, sends it once, and reads the
// answer by the directory's rules.
//
// It is honest rather than clever. A form that is not clearly the right one, a
// field that is not clearly understood, a captcha, a login, a payment, terms to be
// accepted: each ends in an outcome for a person, before anything was sent. An
// answer counts as success only by a rule that matched, and text, selector and
// JSON rules only by what was not on the page before the post.
//
// Where the outcome is not decided, the class says what may follow: not_sent and
// refused may be tried again, in_doubt goes to the lookup.
//
//   - An answer of 307 or 308 asks for the form to be sent again elsewhere. The
//     host has processed nothing by the meaning of the status, and no client of
//     ours repeats a body: the submission fails for good.
//   - A form that is sent by GET is an effect like any other.
//   - From the second step of a form on, a failure leaves the submission in doubt,
//     since a step before it has been sent. Only an answer of 4xx says no.
package httpform
