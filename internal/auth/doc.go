// Package auth knows who may ask for what: roles, API keys, browser sessions.
//
// A key is text that its owner keeps and we do not. It reads
//
//	dbk_live_<id>_<secret><checksum>
//
// with a prefix that secret scanners know, an id of 8 characters under which it is
// kept, a secret of 32 (190 bits) and a checksum of 6, so that a key that was cut or
// mistyped is refused without asking the store. The store has the SHA-256 of the
// whole text: a fast hash is enough for a secret that nobody can guess.
//
// The room opens no connection. [Keys] and [Sessions] are what a store keeps for it;
// the HTTP side of it is the api's.
package auth
