// Package report tells how a day, a week or a month went: what was stuck and recovered,
// what died and was decided, what was refused, how long everything watched and worked,
// what was ordered, paid, completed, saved, and what is at risk now.
//
// Every figure is a recorded fact: a row, an event, or a sum of [job.Rollups]. What was
// not recorded is not known, and the report says so instead of guessing; it is in no
// score either. The same facts give the same report.
package report
