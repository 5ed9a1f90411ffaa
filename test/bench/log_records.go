package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// How the generated log is made up: a desk of 200 agents in 8 applications, who look at 40,000 patients.
const (
	logPatients = 40_000
	logAgents   = 200
	logClients  = 8
	logWriters  = 512
)

var logHasher, _ = accesslog.NewHasher(make([]byte, 32)) // the key is long enough

// logPatient is how records name a patient.
func logPatient(n int) string { return logHasher.Patient("main", "patient-"+strconv.Itoa(n)) }

// logRecord is a record of a desk's search, of the size that the gateway writes.
func logRecord(n int) *accesslog.Record {
	spread := uint64(n) * 0x9e3779b97f4a7c15 // neighbours are about different patients
	patient := int(spread >> 32 % logPatients)
	id := fmt.Sprintf("%016x", spread)
	return &accesslog.Record{
		Kind: accesslog.KindAccess, Correlation: "desk-" + id, RequestID: id + id[:8], Trace: id + id,
		Actor:  accesslog.Actor{Subject: "agent-" + strconv.Itoa(int(spread>>20%logAgents)), Issuer: "https://id.example", Client: "desk-" + strconv.Itoa(n%logClients), Roles: []string{"access-desk"}},
		Source: "192.0.2.10",
		Request: accesslog.Request{Method: "GET", Interaction: "search-type", Type: "Appointment",
			Parameters: []accesslog.Parameter{{Name: "patient", Values: []string{logPatient(patient)}}}},
		EHR: "main", Ticket: accesslog.Ticket{ID: "INC-" + strconv.Itoa(n/3), Category: "scheduling"}, Purpose: "HOPERAT",
		Policy: accesslog.Policy{Revision: "2026-11-01", Dataset: "scheduling", Version: 3, Code: "role-scheduling"},
		Status: 200, Subjects: []string{"Patient/tA" + id + id + id[:13]}, Patients: []string{logPatient(patient)},
		Totals: &accesslog.Totals{BytesIn: 18234, BytesOut: 2210, Released: map[string]int{"Appointment": 3}, Removed: map[string]int{"Appointment.comment": 3}},
	}
}

// generateLog writes a closed log of n records by the log itself, and returns its verifier key.
func generateLog(ctx context.Context, dir string, n int, tell io.Writer) (key string, err error) {
	signer, key, err := accesslog.GenerateKey("bench.example/history")
	if err != nil {
		return "", err
	}
	begin := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	l, err := accesslog.Open(accesslog.Options{Dir: dir, SigningKey: []byte(signer), PatientKey: make([]byte, 32), FS: unsynced{}})
	if err != nil {
		return "", err
	}
	begun := time.Now()
	errs := make([]error, logWriters)
	var wg sync.WaitGroup
	for w := range logWriters {
		wg.Go(func() {
			for i := w; i < n && ctx.Err() == nil; i += logWriters {
				r := logRecord(i)
				r.Time = begin.Add(time.Duration(i) * 10 * time.Second)
				if _, errs[w] = l.Append(r); errs[w] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	fmt.Fprintf(tell, "%d records generated in %s\n", n, time.Since(begun).Round(100*time.Millisecond))
	return key, errors.Join(errors.Join(errs...), l.Close(), ctx.Err())
}
