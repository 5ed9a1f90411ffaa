package certs

// ParsePool is what Pool does with a file's content.
var ParsePool = parsePool
