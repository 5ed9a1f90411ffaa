// Package smart decides what an access token's SMART scopes and launch context
// cover: the floor under every call, which a policy can only narrow.
//
// It is pure: no network, no files, no clock, no configuration. It follows SMART
// App Launch 2.2, sections "Scopes and Launch Context" and "Conformance"; scopes of
// SMART 1 are read as the 2.2 scopes that they stand for.
//
// Guarantees:
//   - A scope that does not match the grammar to the letter grants nothing, and
//     takes nothing from the token's other scopes: letters out of order, repeated
//     or absent, unknown resource types, parameters that the type does not have,
//     values that do not fit their parameter, modifiers.
//   - What is no data scope (openid, fhirUser, launch/patient, offline_access and
//     any other word) grants no data.
//   - A patient/ scope without a patient in the launch context grants nothing, and
//     with one holds the call to that patient ([Floor]).
//   - A type that is in no patient's compartment (Practitioner, Organization,
//     Location, Slot, Medication) is never covered by patient/*; the scope has to
//     name it.
//   - A scope with search parameters never covers more than the parameters select: what a
//     search or a read answers with is compared with them ([Floor.Covers]), whatever the EHR made of the
//     query. Parameters that cannot be compared grant nothing, and a call that only such scopes
//     cover is refused ([ErrGranular]), as is a write.
package smart
