// Package middleware is what stands between the network and a handler: whose request
// it is, and whether it may pass now.
package middleware
