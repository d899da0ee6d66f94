// Package dashboard is what people see in a browser: health, queue, workers, stale
// jobs, dead letters, and an order while it runs.
//
// The folder static is the whole of it: HTML, CSS and ES modules as they stand, without
// a build step, and without a script, font or image from elsewhere. It asks the API
// like anyone else, with relative addresses, so the same folder works embedded in the
// binary and on a static host that passes /api/ on (_redirects, _headers).
//
// Its policy lets nothing run that is not a file of this folder, and its scripts have
// no way to turn text into markup: what comes from outside only ever becomes text.
package dashboard
