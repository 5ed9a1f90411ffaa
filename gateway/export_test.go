package gateway

// InUse is what calls are admitted by.
var InUse Usage = inUse
