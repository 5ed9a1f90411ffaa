package gateway_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// BenchmarkRehearse asks the default policy about the 100,000 calls of a log on disk, of 400 agents at three desks.
func BenchmarkRehearse(b *testing.B) {
	const calls = 100_000
	dir := b.TempDir()
	key, _, err := accesslog.GenerateKey("bench.halfdoor.example/audit")
	if err != nil {
		b.Fatal(err)
	}
	log, err := accesslog.Open(accesslog.Options{Dir: dir, Origin: "bench.halfdoor.example/audit", SigningKey: []byte(key), PatientKey: make([]byte, 32)})
	if err != nil {
		b.Fatal(err)
	}
	desks := []struct{ name, kind, purpose string }{{"scheduling", "Appointment", "PATADMIN"}, {"billing", "Coverage", "HPAYMT"}, {"access", "Patient", "HOPERAT"}}
	begun := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	var writers sync.WaitGroup
	for w := range 64 {
		writers.Go(func() {
			for i := w; i < calls; i += 64 {
				d := desks[i%3]
				_, err := log.Append(&accesslog.Record{
					Time: begun.Add(time.Duration(i) * 300 * time.Millisecond), Kind: accesslog.KindAccess, Correlation: fmt.Sprint("c", i), RequestID: fmt.Sprint("r", i),
					Actor:  accesslog.Actor{Subject: fmt.Sprint("agent-", i%400), Issuer: "https://id.example", Client: "desk-" + d.name, Roles: []string{"helpdesk-" + d.name}},
					Source: "192.0.2.10", EHR: "main", Tenant: "main", Ticket: accesslog.Ticket{ID: fmt.Sprint("T-", i/5), Category: d.name}, Purpose: d.purpose,
					Request: accesslog.Request{Method: "GET", Interaction: "search-type", Type: d.kind, Parameters: []accesslog.Parameter{{Name: "_id", Values: []string{"q83vEjRWeJASNFZ4q83vEg"}}}},
					Policy:  accesslog.Policy{Revision: "r1", Dataset: d.name, Version: 2, Code: "policy-allowed"}, Status: 200, Reason: "The desk may do this.",
					Subjects: []string{"Patient/tA0000000000000000000000000000000000000000000"}, Patients: []string{"q83vEjRWeJASNFZ4q83vEg"},
					Totals: &accesslog.Totals{BytesIn: 18234, BytesOut: 2210, Released: map[string]int{d.kind: 3}, Removed: map[string]int{d.kind + ".text": 3}},
				})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
	engine, err := gateway.Policies("")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		told := 0
		out, err := gateway.Rehearse(context.Background(), engine, accesslog.ReadReplicas([]string{dir}), func(int) { told++ })
		if err != nil {
			b.Fatal(err)
		}
		if out.Calls != calls || out.Same != calls || told != 10 {
			b.Fatalf("told %d times: %+v", told, out)
		}
	}
	b.ReportMetric(calls*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
