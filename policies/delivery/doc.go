// Package delivery brings policy bundles from where a security team publishes them: a tarball, or an HTTP bundle server.
//
// OPA's own plugin manager does the work for a server: its downloader polls with ETag or long polling, its bundle reader
// verifies the signature and every file's digest before anything is parsed, its bundle plugin activates, keeps the last good
// bundle on disk and verifies that again when it reads it back; its status, discovery and decision log plugins do what they
// do in OPA. This package adds a gate ([Options].Activate): OPA activates a bundle in a transaction of its store, and the
// gate stands in the commit. What it refuses is not committed, so that OPA reports it as failed, does not keep it on disk,
// asks for it again, and goes on with the one before.
//
// A signature is required unless [Options].InsecureUnsigned says otherwise: in OPA, keys without a signing block make it
// optional, so the block is always written here, for what discovery names as well. Which keys sign is never taken from a
// bundle.
//
// The tree that the gate is given is made from what OPA read, in one form (see [tree]), so that a bundle has the same revision
// whether it came by HTTP, from the disk or from a tarball.
package delivery
