// Package fhir reads an HTTP request as one FHIR R4 interaction, or refuses it.
//
// It is pure: no network, no files, no clock, no configuration. What it
// returns holds nothing that it did not understand: a [Request] is built anew
// from parts that matched FHIR's grammar, so that what is sent to the EHR
// ([Request.Path], [Request.Encode]) is our own writing and never the
// client's bytes.
//
// Guarantees about a Request that [Parse] returned:
//   - Type is an R4 resource type, ID and Version match FHIR's id grammar and
//     are not dot segments; no encoding trick survives, because a path is
//     decoded once and what it decodes to must be plain.
//   - Each search parameter is one of HL7's for the type that it is asked of, or
//     a chain or _has of such, whose every step is there to be judged
//     ([Param.Links]); its modifier fits its type, its values have the form that
//     its type demands, and it says which elements it reads ([Param.Reads]). The
//     gateway's admission compares these with the dataset.
//   - A parameter occurs in Params in the order of the query; repeated ones
//     are to be joined by AND, the values of one by OR.
//   - No value holds a control character, invalid UTF-8 or a bare backslash.
//   - A body was of the interaction's media type, valid JSON in UTF-8, and had no
//     key twice in one object, however deep or escaped: json.go decides this
//     once, over the whole body, before anything of it is read. The resource of
//     a create or update is of the address's type and has the address's id.
//   - A condition that a write was sent under (If-Match, If-None-Exist, criteria
//     in the query) is in the Request, or the write is refused.
//   - An entry of a batch or transaction is what Parse makes of it as a request
//     of its own, at an address relative to the base.
//   - Of a search by POST, query and form are one set of parameters. What is
//     sent on is the set, so no server can read the one without the other.
//
// What is refused rather than guessed at: method-override headers, encoded
// slashes, dot segments, double encoding, an empty path segment (so also a
// trailing slash), path parameters (;), unknown types and parameters, empty
// values, a result parameter that stands twice, a chain that could lead to
// several types, formats other than JSON, bodies where none has a meaning, in
// another media type or in a content coding. Interactions and parameters of
// FHIR that the gateway does not perform are recognised and refused by name
// ([UnsupportedInteraction], [NotSupported]): _filter, _text, _content, _list,
// _query, _contained, special parameters, and the modifiers that ask of more
// than the resource.
//
// Under Prefer: handling=lenient a parameter of a name that FHIR does not know
// is dropped and reported instead of refused; nothing else is forgiven.
//
// The tables come from HL7's definitions by way of ./generate (see tables.go
// for the command). They say of each parameter which elements it reads; what
// could not be mapped reads, as far as admission is concerned, anything.
//
// Ignored, and never forwarded: Range and, on what only reads, preconditions
// other than If-None-Match, which an answer may ignore as well; and every header
// but Accept, Accept-Encoding ([AcceptCoding]), Content-Type, Content-Encoding,
// Idempotency-Key, Prefer and those preconditions.
//
// It follows FHIR R4 (4.0.1): sections "RESTful API" (http.html), "Search"
// (search.html), "Bundle", "CompartmentDefinition Patient" and
// "OperationOutcome"; RFC 3986 for the path and query, RFC 9110 sections 12.5.1
// for Accept, 12.5.3 for Accept-Encoding and 13.1 for preconditions, RFC 7240
// for Prefer, RFC 8259 for JSON.
package fhir
