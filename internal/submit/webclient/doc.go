// Package webclient is how DirectoryBolt speaks to other people's web sites. It
// knows two kinds of requests:
//
//   - pages, which are read with GET: cookies, redirects, charsets, and nothing
//     that a repetition could harm;
//   - effects, which may file a listing: one fresh connection each, no replay, no
//     redirect that sends the body again, and a deadline that the socket itself
//     carries, so that a process that slept through its lease writes nothing more.
//
// Both pass one guard: http and https only, hosts of the catalog only, and never
// an address that is not public, checked after DNS resolution on the address that
// is about to be connected to. A page may be redirected to a host outside the
// catalog, an effect may not.
//
// What an answer means is left to the caller; what a missing answer means (nothing
// was sent, or nobody knows) is decided here and told as a [Fault].
package webclient
