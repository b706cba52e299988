package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	pb "latchkey.test/hostgo/proto/plugin"
)

var lifeCases = []Case{
	{"life: microgateway, plain", 20 * time.Second, life(Launch{})},
	{"life: microgateway, AutoMTLS", 20 * time.Second, life(Launch{AutoMTLS: true})},
	{"life: microgateway, multiplexed", 20 * time.Second, life(Launch{Mux: true})},
	{"life: microgateway, AutoMTLS and multiplexed", 20 * time.Second, life(Launch{AutoMTLS: true, Mux: true})},
	{"life: studio, plain", 20 * time.Second, life(Launch{Studio: true})},
	{"life: studio, AutoMTLS", 20 * time.Second, life(Launch{Studio: true, AutoMTLS: true})},
	{"life: studio, multiplexed", 20 * time.Second, life(Launch{Studio: true, Mux: true})},
	{"life: studio, AutoMTLS and multiplexed", 20 * time.Second, life(Launch{Studio: true, AutoMTLS: true, Mux: true})},
	{"life: settings as Go prints them, unknown ones too", 15 * time.Second, caseSettings},
	{"life: an edge's namespace in the context", 15 * time.Second, caseEdgeMetadata},
	{"life: host stop without CloseSession", 15 * time.Second, caseHostStop},
	{"life: Kill before Initialize", 15 * time.Second, caseKillEarly},
	{"life: nothing usable to start from: quick, healthy, denying", 30 * time.Second, caseDeny},
}

// life is a host's whole day in short: load, requests, a ping or two, unload.
func life(l Launch) func(t *T) {
	return func(t *T) {
		l.Data = t.Store().Dir
		k := t.Issue(t.Store(), appID)
		h := t.Start(l)
		t.MustAuth(h, k, "first call")
		t.MustRefuse(h, "not a credential", grantedA, "junk")
		proto, err := h.client.Client()
		t.Check(err, "client")
		t.Check(proto.Ping(), "go-plugin's own Ping (health of the service plugin)")
		t.Sleep(pingEvery + 300*time.Millisecond) // a period with ping, or Studio's GetManifest
		t.MustAuth(h, k, "later call")
		t.Assert(h.wire.brokerUp.Load() && !h.wire.brokerDown.Load(), "the broker stream does not stand")
		t.checkScopes(h)
		t.Note("Initialize %.1fms", float64(h.initTook.Microseconds())/1000)
		t.Unload(h)
	}
}

// checkScopes compares the service calls that were made with what the manifest asks for.
func (t *T) checkScopes(h *Host) {
	calls := h.fakes.Calls()
	if len(calls) == 0 {
		return
	}
	resp, err := h.svc.GetManifest(t.ctx, &pb.GetManifestRequest{})
	t.Check(err, "GetManifest")
	var m struct {
		Permissions struct{ Services []string }
	}
	t.Check(json.Unmarshal([]byte(resp.ManifestJson), &m), "manifest")
	var names []string
	for name, n := range calls {
		names = append(names, fmt.Sprintf("%s %d", name, n))
		if scope := scopeOf(name); scope != "" && !slices.Contains(m.Permissions.Services, scope) {
			t.Problem("%s was called without the scope %s in the manifest", name, scope)
		}
	}
	slices.Sort(names)
	t.Note("service calls: %s", strings.Join(names, ", "))
}

func caseSettings(t *T) {
	k := t.Issue(t.Store(), appID)
	for _, studio := range []bool{false, true} {
		h := t.Start(Launch{Studio: studio, Data: t.Store().Dir, Config: map[string]any{
			"slug": "latchkey", "unknown_number": 1000000, "unknown_big": 21600000, "unknown_small": 0.5, "unknown_flag": true, "unknown_nothing": nil,
			"unknown_list": []any{"a", 1}, "unknown_object": map[string]any{"x": 1e9}, "data_dir": "/nonexistent/by-config", "number_as_text": "1e+06",
			"": "empty name", "dotted.name": "x",
		}})
		t.Assert(h.settings(nil)["unknown_number"] == "1e+06" && h.settings(nil)["unknown_big"] == "2.16e+07", "the harness does not print like Go")
		t.MustAuth(h, k, "with odd settings")
		t.Unload(h)
	}
}

func caseEdgeMetadata(t *T) {
	k := t.Issue(t.Store(), appID)
	h := t.Start(Launch{Data: t.Store().Dir})
	req := h.env.authRequest(k.Text, grantedA, h.env.body())
	req.Context.Metadata = map[string]string{"edge_id": "edge-1", "edge_namespace": "default"}
	req.Request.Context = req.Context
	resp, err := h.svc.Authenticate(t.ctx, req)
	t.Check(err, "Authenticate")
	t.Assert(resp.Authenticated, "refused with an edge's id and namespace: %q", resp.ErrorMessage)
	t.Unload(h)
}

func caseHostStop(t *T) {
	h := t.Start(Launch{Data: t.Store().Dir})
	resp, err := h.svc.Shutdown(t.ctx, &pb.ShutdownRequest{TimeoutSeconds: 5})
	t.Check(err, "Shutdown")
	t.Assert(resp.Success, "Shutdown: success=false")
	t.Check(h.Kill(), "Kill after Shutdown alone")
}

func caseKillEarly(t *T) {
	h := t.Connect(Launch{Data: t.Store().Dir})
	t.Check(h.Kill(), "Kill before any RPC")
	h = t.Connect(Launch{}) // and without anything configured
	t.Check(h.ping(t.ctx, 5*time.Second), "Ping before Initialize")
	t.Check(h.Kill(), "Kill before Initialize")
}

func caseDeny(t *T) {
	good := t.Issue(t.Store(), appID)
	empty := t.TempDir()
	for _, c := range []struct{ name, data string }{
		{"no data directory named", ""},
		{"a directory that is not there", "/nonexistent/latchkey"},
		{"a relative directory", "latchkey-data"},
		{"a directory that is not initialised", empty},
		{"a file instead of a directory", t.Binary},
	} {
		h := t.Start(Launch{Studio: true, Data: c.data})
		t.MustRefuse(h, good.Text, grantedA, c.name)
		t.MustRefuse(h, "", grantedA, c.name)
		t.Check(h.ping(t.ctx, 5*time.Second), c.name+": Ping")
		data, err := h.Call(t.ctx, "health")
		t.Check(err, c.name+": Call health")
		status, _ := data["status"].(string)
		t.Assert(status == "degraded" || status == "unhealthy", "%s: health says %q", c.name, status)
		lines, _ := h.logs.Count("")
		t.Assert(lines > 0, "%s: nothing in the log says so", c.name)
		t.Unload(h)
	}
}
