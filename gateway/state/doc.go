// Package state is what calls share, whichever generation of the configuration they run
// under: how many patients an actor was told of, how often a client calls, what a write came to,
// which proofs of possession were used, for how long emergency access is open, what is switched off.
//
// Each store is held in memory (the switches in a file as well), is bounded, and refuses when it cannot know: a store that is
// full forgets nothing that still counts. The counts hold no name and no id of a patient, only the
// access log's keyed hashes; an outcome holds what its client was told. The gateway reaches each by a small interface of its own, so that
// stores of several replicas can take their place.
package state
