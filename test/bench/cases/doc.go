// Package cases holds the inputs that the filter's benchmarks run on, so that the command
// test/bench and the Go benchmarks of transforms measure the same ones.
//
// A case is a document, a dataset and what else a stream needs. The documents are Bundles made by
// Synthea where the corpus is there (HALFDOOR_CORPUS, else ../shared/corpus beside the project),
// and else Bundles of the same shape made here: the same types in about the same shares of the
// bytes, the same depth, names and lengths of strings, all values made up. Hostile documents are
// always made here. Nothing in a case depends on the clock or on chance.
package cases
