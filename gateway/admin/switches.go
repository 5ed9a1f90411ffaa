package admin

import (
	"encoding/json"
	"net/http"
)

// maxSwitch bounds what is asked of a switch, in bytes.
const maxSwitch = 4 << 10

// switchOff reads what is to be switched off: {"kind": …, "name": …, "reason": …}.
func (o Options) switchOff(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Kind   string `json:"kind"`
		Name   string `json:"name"`
		Reason string `json:"reason"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSwitch))
	d.DisallowUnknownFields()
	if err := d.Decode(&ask); err != nil || d.More() {
		plain(w, http.StatusBadRequest, "want a JSON object of kind, name and reason")
		return
	}
	o.switched(w, o.SwitchOff(ask.Kind, ask.Name, ask.Reason))
}

// switched answers with what is switched off now.
func (o Options) switched(w http.ResponseWriter, err error) {
	now := map[string]any{"switched_off": o.SwitchedOff()}
	status := http.StatusOK
	if err != nil {
		now["problem"] = err.Error()
		if status = http.StatusInternalServerError; o.BadSwitch(err) {
			status = http.StatusUnprocessableEntity
		}
	}
	answer(w, status, now)
}
