package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/config"
)

// discovered stands between a discovery bundle and OPA. Such a bundle may say where below the service the policy bundle is,
// how often it is asked for, and labels; nothing else, and in particular not by which keys a bundle is verified.
type discovered struct{ options *Options }

// OnConfigDiscovery puts our own terms into what was discovered.
func (d *discovered) OnConfigDiscovery(_ context.Context, found *config.Config) (*config.Config, error) {
	for name, block := range map[string]json.RawMessage{
		"services": found.Services, "keys": found.Keys, "discovery": found.Discovery, "bundle": found.Bundle,
		"decision_logs": found.DecisionLogs, "status": found.Status,
	} {
		if len(block) > 0 {
			return nil, fmt.Errorf("a discovery bundle must not say %s", name)
		}
	}
	if found.PersistenceDirectory != nil || len(found.Plugins) > 0 || found.Server != nil || found.Storage != nil {
		return nil, errors.New("a discovery bundle may say bundles and labels alone")
	}
	var bundles map[string]struct {
		Service  string          `json:"service"`
		Resource string          `json:"resource"`
		Polling  json.RawMessage `json:"polling"`
	}
	if err := json.Unmarshal(found.Bundles, &bundles); err != nil {
		return nil, fmt.Errorf("bundles: %w", err)
	}
	one, ok := bundles[bundleName]
	switch {
	case !ok || len(bundles) != 1:
		return nil, fmt.Errorf("a discovery bundle has to name one bundle, %q", bundleName)
	case one.Resource == "" || strings.HasPrefix(one.Resource, "file:") || strings.Contains(one.Resource, "://"):
		return nil, errors.New("a discovered bundle's resource has to be one of the service")
	case one.Service != "" && one.Service != serviceName:
		return nil, fmt.Errorf("a discovered bundle's service has to be %q", serviceName)
	}
	source := object{"resource": one.Resource}
	if len(one.Polling) > 0 {
		source["polling"] = one.Polling
	}
	doc, err := json.Marshal(object{"labels": found.Labels, "bundles": object{bundleName: d.options.source(source)}})
	if err != nil {
		return nil, err
	}
	return config.ParseConfig(doc, d.options.ID)
}
