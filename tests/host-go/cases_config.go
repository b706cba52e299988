package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	configpb "latchkey.test/hostgo/proto/config_provider"
	pb "latchkey.test/hostgo/proto/plugin"
)

var configCases = []Case{
	{"config: config-only loads beside a full one", 20 * time.Second, caseConfigOnly},
	{"config: before Initialize nothing is authenticated", 10 * time.Second, caseBeforeInit},
	{"config: manifest by the host's rules, the same from both services", 15 * time.Second, caseManifest},
	{"config: schema is a JSON object schema, the same from both services", 15 * time.Second, caseSchema},
}

// configOnly is Studio's short load: Ping, one question, Kill.
func (t *T) configOnly(data string, ask func(ctx context.Context, h *Host)) {
	h := t.Connect(Launch{Studio: true, NoInit: true, Data: data})
	ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	now := time.Now().Unix()
	resp, err := h.config.Ping(ctx, &configpb.ConfigPingRequest{Timestamp: now})
	t.Check(err, "ConfigProviderService.Ping")
	t.Assert(resp.Healthy && resp.Timestamp == now, "ConfigProviderService.Ping: %v", resp)
	ctx, cancel = context.WithTimeout(t.ctx, 10*time.Second)
	defer cancel()
	ask(ctx, h)
	t.Check(h.Kill(), "Kill of a config-only load")
}

func caseConfigOnly(t *T) {
	k := t.Issue(t.Store(), appID)
	full := t.Start(Launch{Studio: true, Data: t.Store().Dir})
	for i := range 3 {
		data := t.Store().Dir
		if i == 2 {
			data = "" // Studio need not know the directory to read a schema
		}
		t.configOnly(data, func(ctx context.Context, h *Host) {
			t.MustAuth(full, k, "the full load, meanwhile")
			s, err := h.config.GetConfigSchema(ctx, &configpb.ConfigSchemaRequest{})
			t.Check(err, "GetConfigSchema")
			t.Assert(s.Success && s.SchemaJson != "", "GetConfigSchema: %s", s.ErrorMessage)
			m, err := h.config.GetManifest(ctx, &configpb.GetManifestRequest{})
			t.Check(err, "GetManifest")
			t.Assert(m.Success && m.ManifestJson != "", "GetManifest: %s", m.ErrorMessage)
		})
		t.MustAuth(full, k, "the full load, afterwards")
	}
	t.Unload(full)
}

func caseBeforeInit(t *T) {
	k := t.Issue(t.Store(), appID)
	h := t.Connect(Launch{Data: t.Store().Dir})
	t.MustRefuse(h, k.Text, grantedA, "before Initialize")
	pre, err := h.svc.ProcessPreAuth(t.ctx, t.request(nil, nil, pluginContext(grantedA)))
	t.Check(err, "ProcessPreAuth before Initialize")
	t.Assert(!pre.Modified, "ProcessPreAuth before Initialize modifies")
	t.Check(h.Kill(), "Kill")
}

type slots []struct {
	Slot  string
	Items []struct {
		Type, Path string
		Mount      struct{ Kind, Tag, Entry string }
	}
}

type manifest struct {
	ID, Version, Name string
	Capabilities      *struct {
		Hooks       []string
		PrimaryHook string `json:"primary_hook"`
	}
	Permissions struct {
		Services    []string
		ObjectHooks []string `json:"object_hooks"`
	}
	UI, Portal struct{ Slots slots }
	Schedules  []struct{ ID, Cron string }
	Resources  []struct{ Slug string } `json:"resource_types"`
}

var validHooks = strings.Fields(`pre_auth auth post_auth on_response data_collection studio_ui portal_ui agent object_hooks
	custom_endpoint resource_provider`)

// manifest reads the plugin's manifest from the main service.
func (t *T) manifest(h *Host) (string, manifest) {
	resp, err := h.svc.GetManifest(t.ctx, &pb.GetManifestRequest{})
	t.Check(err, "GetManifest")
	t.Assert(resp.Success && resp.ErrorMessage == "", "GetManifest: success=%v %s", resp.Success, resp.ErrorMessage)
	var m manifest
	t.Check(json.Unmarshal([]byte(resp.ManifestJson), &m), "manifest as JSON")
	return resp.ManifestJson, m
}

func (m manifest) has(hook string) bool {
	return m.Capabilities != nil && slices.Contains(m.Capabilities.Hooks, hook)
}

func caseManifest(t *T) {
	h := t.Start(Launch{Studio: true, Data: t.Store().Dir})
	text, m := t.manifest(h)
	other, err := h.config.GetManifest(t.ctx, &configpb.GetManifestRequest{})
	t.Check(err, "ConfigProviderService.GetManifest")
	t.Assert(other.Success && other.ManifestJson == text, "the two services give different manifests")

	t.Assert(m.ID != "" && m.Version != "" && m.Name != "", "id %q, version %q, name %q", m.ID, m.Version, m.Name)
	t.Assert(m.Capabilities != nil && len(m.Capabilities.Hooks) > 0, "no capabilities.hooks: Studio would crash")
	seen := map[string]bool{}
	for _, hook := range m.Capabilities.Hooks {
		t.Assert(slices.Contains(validHooks, hook), "unknown hook %q", hook)
		t.Assert(!seen[hook], "hook %q twice", hook)
		seen[hook] = true
	}
	t.Assert(m.has("auth") && m.has("pre_auth"), "hooks %v lack auth or pre_auth", m.Capabilities.Hooks)
	primary := m.Capabilities.PrimaryHook
	t.Assert(primary == "" || m.has(primary) && (primary == "auth" || primary == "studio_ui"), "primary_hook %q", primary)
	for _, s := range m.Permissions.Services {
		t.Assert(!slices.Contains([]string{"analytics.read", "analytics.detailed", "analytics.reports"}, s), "scope %q is refused by the host", s)
	}
	checkSlots(t, m.UI.Slots, "sidebar.section", "/admin/")
	checkSlots(t, m.Portal.Slots, "portal_sidebar.section", "/portal/")
	t.Assert(len(m.UI.Slots) == 0 || m.has("studio_ui"), "ui slots without the hook studio_ui")
	t.Assert(len(m.Portal.Slots) == 0 || m.has("portal_ui"), "portal slots without the hook portal_ui")
	t.Note("hooks %s; scopes %s", strings.Join(m.Capabilities.Hooks, " "), strings.Join(m.Permissions.Services, " "))
	t.Unload(h)
}

func checkSlots(t *T, all slots, slot, prefix string) {
	for _, s := range all {
		t.Assert(s.Slot == slot, "slot %q, want %q", s.Slot, slot)
		for _, i := range s.Items {
			t.Assert(i.Type == "route" && i.Mount.Kind != "" && strings.HasPrefix(i.Path, prefix), "item %v", i)
			t.Assert(i.Mount.Kind != "webc" || i.Mount.Tag != "" && strings.HasPrefix(i.Mount.Entry, "/"), "mount %v", i.Mount)
		}
	}
}

func caseSchema(t *T) {
	h := t.Start(Launch{Studio: true, Data: t.Store().Dir})
	a, err := h.svc.GetConfigSchema(t.ctx, &pb.GetConfigSchemaRequest{})
	t.Check(err, "GetConfigSchema")
	b, err := h.config.GetConfigSchema(t.ctx, &configpb.ConfigSchemaRequest{})
	t.Check(err, "ConfigProviderService.GetConfigSchema")
	t.Assert(a.Success && b.Success && a.SchemaJson == b.SchemaJson, "the two services give different schemas")
	var schema struct {
		Type       string
		Properties map[string]json.RawMessage
	}
	t.Check(json.Unmarshal([]byte(a.SchemaJson), &schema), "schema as JSON")
	t.Assert(schema.Type == "object", "type is %q: the page would show a raw editor", schema.Type)
	t.Note("%d settings", len(schema.Properties))
	t.Unload(h)
}
