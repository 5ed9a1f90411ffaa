package cases

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Searchset makes the answer to a search for encounters, of about so many bytes: those of the corpus, or generated, as
// often as it takes, each time with ids of their own. Its links and fullUrls are below [EHR].
func (s *Set) Searchset(size int) ([]byte, error) {
	if s.compact == nil {
		if err := s.load(); err != nil {
			return nil, err
		}
	}
	encounters, err := encounters(s.compact)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, `{"resourceType":"Bundle","id":"c4b6a4b4-5d5a-4e6c-9a0e-3f1f7f2b9d10","meta":{"lastUpdated":"2026-01-01T00:00:00.000+00:00"},`+
		`"type":"searchset","total":%d,"link":[{"relation":"self","url":"%s/Encounter?_count=%d"}],"entry":[`, size, EHR, size)
	for n := 0; n == 0 || out.Len() < size-len(encounters[0].text)/2; n++ {
		e := encounters[n%len(encounters)]
		if n > 0 {
			out.WriteByte(',')
		}
		id := fmt.Sprintf("%s%06x", e.id[:len(e.id)-6], n)
		out.Write(bytes.ReplaceAll(e.text, []byte(e.id), []byte(id)))
	}
	out.WriteString("]}")
	return out.Bytes(), nil
}

type encounter struct {
	id   string
	text []byte // of the entry
}

// encounters are the entries of a Bundle that hold one.
func encounters(bundle []byte) ([]encounter, error) {
	var b struct{ Entry []json.RawMessage }
	if err := json.Unmarshal(bundle, &b); err != nil {
		return nil, err
	}
	var all []encounter
	for _, text := range b.Entry {
		var e struct {
			Resource struct{ ResourceType, ID string }
		}
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, err
		}
		if e.Resource.ResourceType == "Encounter" && len(e.Resource.ID) > 6 {
			all = append(all, encounter{e.Resource.ID, text})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no encounters among %d entries", len(b.Entry))
	}
	return all, nil
}
