package cli

// ExampleKeyset is what "halfdoor filter" makes example tokens with.
const ExampleKeyset = exampleKeyset
