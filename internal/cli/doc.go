// Package cli is the command line of directorybolt: the table of commands, one
// file each, and the only place where the rooms are wired together.
//
// Data goes to stdout and chatter to stderr. Live display and colour appear only
// on a terminal. An error is one sentence, "directorybolt: act: cause (remedy)",
// and the exit status says what kind it is.
package cli
