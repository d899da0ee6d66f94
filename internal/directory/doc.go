// Package directory is the language of the trade: the business that wants to be
// listed, the package it bought, the directories there are, and the submission,
// which is one directory of one order.
//
// It loads and checks the catalog of directories, validates profiles with every
// fault reported at once, and selects the directories of an order. It imports no
// database, network or cloud library.
package directory
