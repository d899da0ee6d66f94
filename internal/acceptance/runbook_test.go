package acceptance

// runbookScenes are those of docs/runbook.md.
var runbookScenes = map[string]scene{}
