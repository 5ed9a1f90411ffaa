package test

import (
	"bytes"
	"io"
	"net/http"
	"os/exec"
	"testing"

	"github.com/tidwall/gjson"
)

// TestFilterIsTheGateway compares what "halfdoor filter" shows with what the gateway sends,
// byte for byte.
func TestFilterIsTheGateway(t *testing.T) {
	bin := build(t)
	d := startDemo(t, bin)
	client := d.client(t)
	get := func(address, token string) []byte {
		t.Helper()
		req, err := http.NewRequest("GET", address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %d %v %s", address, resp.StatusCode, err, body)
		}
		return body
	}
	compared := 0
	for _, kind := range []string{"Appointment", "Encounter", "Practitioner", "Task", "Patient"} {
		// The same search at both; what has a denied label is missing behind the gateway.
		theirs := gjson.GetBytes(get(d.env["HALFDOOR_EHR_URL"]+"/"+kind+"?_count=200", ""), "entry.#.resource").Array()
		token := d.env["HALFDOOR_TOKEN_SCHEDULING"]
		ours := gjson.GetBytes(get(d.env["HALFDOOR_FHIR_URL"]+"/"+kind+"?_count=200", token), "entry.#.resource").Array()
		for _, resource := range theirs {
			if compared%20 == 19 { // one in twenty is enough of a process each
				break
			}
			cmd := exec.Command(bin, "filter", "--dataset", "scheduling", "--config", d.env["HALFDOOR_CONFIG"], "--client", "demo-scheduling")
			cmd.Stdin = bytes.NewReader([]byte(resource.Raw))
			var out, problems bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &problems
			if err := cmd.Run(); err != nil {
				if out.Len() > 0 {
					t.Errorf("%s: refused with output", kind)
				}
				continue // a denied label: TestRestricted of the gateway's own tests sees it dropped
			}
			if len(ours) == 0 {
				t.Fatalf("%s: the gateway sent fewer than the filter would", kind)
			}
			sent := get(d.env["HALFDOOR_FHIR_URL"]+"/"+kind+"/"+ours[0].Get("id").String(), token)
			if !bytes.Equal(out.Bytes(), sent) {
				t.Fatalf("%s: the filter shows\n%s\nthe gateway sent\n%s", kind, out.Bytes(), sent)
			}
			ours = ours[1:]
			compared++
		}
		compared++
	}
	if compared < 20 {
		t.Errorf("only %d resources were compared", compared)
	}
}
