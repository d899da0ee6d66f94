// Package sqstest runs third-party emulators of SQS for tests, and puts a proxy
// before them that does what no emulator does: answers that get lost, servers that
// fail, batches of which a part fails, depths that lag.
//
// No emulator is right alone, so each says what it can ([Emulator]) and a suite runs
// each of its cases on those that can. A case that none of them can run is a failure,
// so nothing is skipped in silence.
//
// The emulators are packages of npm, at the versions of emulators/package-lock.json.
// The first test on a machine installs them, with npm ci, into the user's cache. They
// listen on loopback, on ports of their own, and end with the test process.
package sqstest
