// Package health tells how the installation is, in one verdict.
//
// Each service has a check. Checks run in the background, each on its own beat and
// within its own time, so that asking costs nothing and nobody waits: a verdict is
// assembled from what was found last. A check that fails is never up; the first
// failure after a good answer is degraded, for one answer may be lost on any network,
// and the next one, a moment later, is down. What was not looked at for too long is down
// as well: who cannot look does not know.
//
// Most of it is asked of the database. While that is away, what was to be asked there is
// not known: such a service is down, and blamed on the database. [Report.Wrong] names
// what is wrong by itself.
//
// The room looks and tells. What it looks at is handed in; who may see what of it is
// the API's concern.
package health
