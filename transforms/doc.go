// Package transforms lets the minimum dataset of a FHIR answer leave, and nothing else.
//
// A [Dataset] names, for each resource type, the elements that leave and how: as they are, in a
// token, as a reference whose id is in a token, masked, hashed, fixed, or as a date that is moved or
// less precise; all of them, or those that meet a condition. [Compile] makes a [Plan] of it, and
// [Plan.Filter] streams FHIR JSON (a resource, or a Bundle of any type) through the plan in one pass
// and constant memory; [Plan.FilterNDJSON] does so for newline-delimited JSON.
//
// Bundle, OperationOutcome and Parameters have built-in rows. What they hold leaves by the rows of
// its types, also in Bundles within Bundles; what may not leave is dropped, and in a batch-response or
// transaction-response, where places mean something, a refusal takes its place, which is always the
// same. Contained resources leave only where a row says contained: keep, each by the row of its own
// type, and references to those that do not leave go with them.
//
// It guarantees that
//   - an element that no row names does not leave, whatever type of value it holds; a resource
//     whose type has no row, which carries a denied security label, or which lies outside the
//     patient's compartment does not leave, nor does what its Bundle entry says of it;
//   - a number or a text that is kept leaves with the characters that it came with;
//   - ids of resources in references do not leave where a row says token or reference, nor in a
//     reference inside an element that is kept; what other texts of a kept element say is the
//     row's to know (a url, a note);
//   - what was reduced says so: every resource released through a row carries the tag SUBSETTED,
//     whether or not this one lost something, since else the tag would tell what was there;
//   - dates that are to be moved leave moved, by the days of the one patient whom the resource is
//     of, a contained one by those of the resource that holds it; or not at all;
//   - a list of values and the list of their extensions leave with the same length, place by place,
//     without a null that stands for nothing, and no array or object leaves empty;
//   - whose data a window of output discloses is known to the [Sink] before it writes the window.
//
// It refuses input that is not exactly one JSON object by RFC 8259 in UTF-8, that names a member
// twice in one object (after unescaping, in dropped values too), nests deeper than [MaxDepth], or
// has more than [MaxKeys] members in one object; and a resource, at the root or in an entry, that does
// not say what it is ([ErrNoType]): nobody can tell whether it may leave, and an EHR that sends one is
// not to be relied on for the rest. A contained one is only left out, with what refers to it. Refusing may come after the first windows have
// been released; the stream then ends there, and is never closed neatly.
//
// What clients send goes the other way by the same plan: [Plan.Create], [Plan.Merge] and [Plan.Patch]
// make of a client's resource, or of its JSON Patch, what the EHR is to get. They take one resource in
// memory, and guarantee that
//   - only elements change that the dataset's write list names, and nothing is taken away that the
//     client could not see: where something is hidden in an element, it can be sent back only as it is
//     seen; all else of the EHR's version stays, with its order of members and its digits;
//   - what the client sends besides is what it sees, or is left out; what would be lost is refused;
//   - tokens are opened, in references and where a row says token; an id of the EHR's own is refused;
//   - the client will see what it wrote and no other change: the outcome is filtered before it is
//     returned, and compared with what was sent.
//
// What a write does not do is keep a narrative (narrative.html) true: the EHR's own stays as it was.
//
// It follows FHIR R4: json.html (names with a leading underscore belong to the element),
// references.html, bundle.html, resource.html#simple-tags (SUBSETTED), compartmentdefinition.html; and
// RFC 6902 and RFC 6901 for patches.
//
// The package is pure: it reads no clock, file, network or environment, and logs nothing.
package transforms
