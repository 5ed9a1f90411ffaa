package halfdoor.other

now := time.now_ns()

dice := rand.intn("x", 6)

env := opa.runtime().env

address := net.lookup_ip_addr("example.org")

all_of_ten := net.cidr_expand("10.0.0.0/8")

id := uuid.rfc4122("x")

claims := io.jwt.decode_verify(input.purpose, {"secret": "x"})

inside if net.cidr_contains("10.0.0.0/8", input.network.source)
