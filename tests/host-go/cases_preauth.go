package main

import (
	"fmt"
	"strings"
	"time"

	pb "latchkey.test/hostgo/proto/plugin"
)

var preAuthCases = []Case{
	{"pre-auth: 401 with WWW-Authenticate for a refused credential, by the host's precedence", 20 * time.Second, casePreAuth},
}

var objectCases = []Case{
	{"objects: complete App and User for a good key, none for a bad one", 15 * time.Second, caseObjects},
}

func header(h map[string]string, name string) (string, bool) {
	for k, v := range h {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return "", false
}

func casePreAuth(t *T) {
	s := t.Store()
	good, revoked := t.Issue(s, appID), t.Issue(s, appID)
	t.Revoke(s, revoked)
	h := t.Start(Launch{Data: s.Dir})
	junk := "lk_live_" + t.canary(40)
	for _, c := range []struct {
		name, vendor string
		headers      map[string]string
		llm          uint32
		block        bool
	}{
		{"no credential", "openai", nil, grantedA, false},
		{"good Bearer", "openai", map[string]string{"Authorization": "Bearer " + good.Text}, grantedA, false},
		{"junk Bearer", "openai", map[string]string{"Authorization": "Bearer " + junk}, grantedA, true},
		{"revoked Bearer", "openai", map[string]string{"Authorization": "Bearer " + revoked.Text}, grantedA, true},
		{"Bearer for a foreign LLM", "openai", map[string]string{"Authorization": "Bearer " + good.Text}, foreign, true},
		{"Basic: not a form that reaches the plugin", "openai", map[string]string{"Authorization": "Basic " + t.canary(24)}, grantedA, false},
		{"bearer in lower case", "openai", map[string]string{"Authorization": "bearer " + t.canary(24)}, grantedA, false},
		{"good x-api-key", "anthropic", map[string]string{"X-Api-Key": good.Text}, grantedA, false},
		{"junk x-api-key", "anthropic", map[string]string{"X-Api-Key": junk}, grantedA, true},
		{"x-api-key for another vendor", "openai", map[string]string{"X-Api-Key": junk}, grantedA, false},
		{"junk x-goog-api-key", "google_ai", map[string]string{"X-Goog-Api-Key": junk}, grantedA, true},
		{"good Bearer beside a junk x-api-key", "anthropic",
			map[string]string{"Authorization": "Bearer " + good.Text, "X-Api-Key": junk}, grantedA, false},
		{"junk Bearer beside a good x-api-key", "anthropic",
			map[string]string{"Authorization": "Bearer " + junk, "X-Api-Key": good.Text}, grantedA, true},
	} {
		ctx := pluginContext(c.llm)
		ctx.Vendor = c.vendor
		resp, err := h.svc.ProcessPreAuth(t.ctx, t.request(c.headers, t.body(), ctx))
		t.Check(err, c.name)
		t.Assert(!resp.Modified && len(resp.ContextUpdates) == 0, "%s: modified=%v, %d context updates", c.name, resp.Modified, len(resp.ContextUpdates))
		t.Assert(resp.Block == c.block, "%s: block=%v, want %v", c.name, resp.Block, c.block)
		if c.block {
			challenge, ok := header(resp.Headers, "WWW-Authenticate")
			// A genuine credential that may not use this LLM can also be answered with 403 (RFC 6750, insufficient_scope).
			t.Assert(resp.StatusCode == 401 || resp.StatusCode == 403 && c.llm == foreign, "%s: status %d", c.name, resp.StatusCode)
			t.Assert(ok && strings.HasPrefix(challenge, "Bearer"), "%s: WWW-Authenticate is %q", c.name, challenge)
			_, typed := header(resp.Headers, "Content-Type")
			t.Assert(len(resp.Body) == 0 || typed, "%s: a body without Content-Type", c.name)
			text := []byte(fmt.Sprint(resp.Headers) + string(resp.Body) + resp.ErrorMessage)
			t.Assert(!t.Secrets.FoundIn(text), "%s: the answer repeats the credential", c.name)
		} else {
			t.Assert(resp.StatusCode == 0 && len(resp.Headers) == 0 && len(resp.Body) == 0, "%s: passes, but says %v", c.name, resp)
		}
	}
	// A header too long to be kept may be blocked or left to Authenticate; it must not be an error.
	_, err := h.svc.ProcessPreAuth(t.ctx, t.request(map[string]string{"Authorization": "Bearer " + strings.Repeat("B", 1<<20)}, nil, pluginContext(grantedA)))
	t.Check(err, "Bearer of 1 MiB")
	t.Unload(h)
}

func caseObjects(t *T) {
	s := t.Store()
	good, revoked := t.Issue(s, appID), t.Issue(s, appID)
	t.Revoke(s, revoked)
	h := t.Start(Launch{Data: s.Dir})
	app, err := h.svc.GetAppByCredential(t.ctx, &pb.GetAppRequest{Credential: good.Text, Context: pluginContext(grantedA)})
	t.Check(err, "GetAppByCredential")
	t.Assert(app.Success && app.ErrorMessage == "" && app.App != nil, "GetAppByCredential: %v", app)
	a := app.App
	t.Assert(a.Id == appID && a.Name == "Shop" && a.OwnerEmail == "ops@acme.example" && a.IsActive, "App: %v", a)

	user, err := h.svc.GetUserByCredential(t.ctx, &pb.GetUserRequest{Credential: good.Text, Context: pluginContext(grantedA)})
	t.Check(err, "GetUserByCredential")
	t.Assert(user.Success && user.ErrorMessage == "" && user.User != nil, "GetUserByCredential: %v", user)
	u := user.User
	t.Assert(u.Id == userID && u.Email == "ann@acme.example" && u.Name == "Ann" && u.IsActive, "User: %v", u)

	for name, c := range map[string]attempt{
		"junk": {credential: "junk", llm: grantedA}, "empty": {llm: grantedA}, "revoked": {credential: revoked.Text, llm: grantedA},
		"foreign LLM": {credential: good.Text, llm: foreign},
	} {
		app, err := h.svc.GetAppByCredential(t.ctx, &pb.GetAppRequest{Credential: c.credential, Context: pluginContext(c.llm)})
		t.Check(err, name)
		t.Assert(!app.Success && app.App == nil && app.ErrorMessage != "", "%s: App: success=%v", name, app.Success)
		user, err := h.svc.GetUserByCredential(t.ctx, &pb.GetUserRequest{Credential: c.credential, Context: pluginContext(c.llm)})
		t.Check(err, name)
		t.Assert(!user.Success && user.User == nil && user.ErrorMessage != "", "%s: User: success=%v", name, user.Success)
		t.Assert(app.ErrorMessage == user.ErrorMessage, "%s: the two calls say different things", name)
	}
	t.Unload(h)
}
