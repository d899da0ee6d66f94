// Package api answers over HTTP. For now it answers probes: whether the process
// lives, and whether it can do its work.
package api
