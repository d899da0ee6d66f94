// Package check holds the tests of what is shipped beside the binary: the image,
// the compose file, the units of systemd, the other hosts' files. They run without a
// container engine. It is a module of its own because the parsers of those files
// would weigh on the product's.
package check
