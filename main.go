// Halfdoor is a reverse-proxy gateway between helpdesk tools and EHR FHIR servers.
package main

func main() {}
