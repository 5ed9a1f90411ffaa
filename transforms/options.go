package transforms

// Limits of the input. They are the same for every stream.
const (
	MaxDepth = 128  // objects and arrays open at once
	MaxKeys  = 2048 // members of one object
)

// Defaults of [Options].
const (
	DefaultWindow    = 64 << 10
	DefaultLookahead = 1 << 20
)

// Tokenizer makes tokens of ids and values.
type Tokenizer interface {
	// AppendToken appends the token of value to dst. The kind is a resource type, and value the
	// id of such a resource, or it is the path of another element ("Patient.identifier.value").
	// The value is unescaped, and may be used until AppendToken returns only. The token must need
	// no escape in JSON. In one stream a value of a kind has one token: it may be asked for once
	// and used again.
	AppendToken(dst []byte, kind string, value []byte) ([]byte, error)
}

// Shifter tells how far a patient's dates are moved.
type Shifter interface {
	// Shift returns by how many days, for the patient's real id. It is the same each time: a
	// difference would show that of two dates of one patient.
	Shift(patient string) (days int, err error)
}

// Hasher makes hashes of values.
type Hasher interface {
	// AppendHash appends the hash of value to dst, as AppendToken does a token, and like that always
	// the same in one stream. Nobody must be able to tell it from a guessed value without a key. Where
	// kind is a resource type, the hash takes the place of an id, and must be one.
	AppendHash(dst []byte, kind string, value []byte) ([]byte, error)
}

// Window is a piece of the output, and whom it discloses something of. It may be used until
// Release returns only.
type Window struct {
	Body []byte

	// Subjects are the resources released and the patients named (by a reference that is
	// released, or in an element that puts a released resource into a patient's compartment,
	// even where that element is removed). Each is here when it is first named in the stream; it
	// may be repeated.
	Subjects Subjects

	Last   bool    // nothing follows
	Report *Report // so far, this window included; the total where Last, which Filter returns too
}

// Sink takes the output.
type Sink interface {
	// Release records what the window discloses, and then writes its body. An error gives up the
	// stream: Release is not called again.
	Release(*Window) error
}

// Label is a security label: a coding of meta.security. What a coding lacks counts as empty.
type Label struct{ System, Code string }

// Options are of one stream.
type Options struct {
	// Tokens makes the tokens. Without it, a stream that needs one ends with ErrToken.
	Tokens Tokenizer

	// Shift and Hash are for datasets that move dates or hash values. Without one, a stream that
	// needs it ends with ErrToken.
	Shift Shifter
	Hash  Hasher

	// EHR are the base URLs by which the EHR names its own resources, without trailing slash.
	EHR []string

	// Base is the gateway's own FHIR base URL, without trailing slash. It takes the place of the
	// EHR's.
	Base string

	// Link rewrites a Bundle's link; false drops it. Nil drops all.
	Link func(relation, url string) (string, bool)

	// Total lets Bundle.total leave. It must be false where entries can be dropped: the
	// difference would tell of them.
	Total bool

	// Types are the resource types that may leave at the root, as a Bundle's entry, in a parameter or
	// on a line; nil is every type with a row. Bundles and OperationOutcomes need not be named, since of
	// themselves they show nothing. Resources contained in one that leaves do so by the rows of their own
	// types: they are a part of it.
	Types []string

	// Searched are the types of the resources that were searched for, where the answer may include
	// others. Such a one leaves only behind a resource that left, where one of the two refers to the
	// other by a reference that leaves: what leads nowhere else but to what was withheld would tell of
	// it. Nil is no search, or one that includes nothing.
	Searched []string

	// Patient is the real id of the patient whose compartment alone leaves; "" is any.
	Patient string

	// EntryID is the id that each resource inside another one must have, as an entry of the history of
	// one resource; others are dropped. "" is any.
	EntryID string

	// DenyLabels drop each resource that has one in meta.security.
	DenyLabels []Label

	// Root is the type that the root must have, and RootID the id, where set. BundleType is the type
	// ("searchset", "batch-response") that a Bundle at the root must have, where set. It is known then
	// what becomes of an entry that may not leave, even where the type stands behind the entries;
	// without it, the stream ends with ErrUnexpectedRoot where the entries' shape told otherwise.
	Root, RootID, BundleType string

	// Report, where set, is what the windows show and what Filter returns a copy of. Its maps are
	// emptied and used again, so that a caller who is done with the report of one stream can give
	// it to the next, and nothing is allocated for it.
	Report *Report

	// Window is how many bytes are gathered before they are released, where nothing holds them
	// back; Lookahead bounds what may be held back: one resource as it leaves, and what comes
	// before its resourceType. In bytes; zero is the default.
	Window, Lookahead int

	buffer int  // bytes of input read at once, for tests; zero is the default
	places bool // note of each element of a list where it was (place.go)
}
