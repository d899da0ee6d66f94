// Package directory is the language of the trade: the business that wants to be
// listed, the package it bought, the directories there are, and the submission,
// which is one directory of one order.
//
// It loads and checks the catalog of directories ([Load], [Lint]), validates
// profiles with every fault reported at once ([ReadProfile], [ParseProfile]), and
// selects the directories of an order ([Select], [Next]). It imports no database,
// network or cloud library.
//
// # Reading what people write
//
// Catalogs and profiles are YAML or JSON. Either becomes a tree of nodes that know
// their lines; a binder copies the tree into structs by their yaml tags and notes
// what does not fit; checks then run over the structs. So one pass finds all
// faults, where a decoder would stop at the first, and a catalog made in code
// ([NewCatalog]) passes the same checks. Every fault says where it is, what it is,
// and what to do.
package directory
