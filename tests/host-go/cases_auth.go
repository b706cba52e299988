package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	pb "latchkey.test/hostgo/proto/plugin"
)

var authCases = []Case{
	{"auth: a good key: app, user and claims", 10 * time.Second, caseGoodKey},
	{"auth: every refusal looks the same", 30 * time.Second, caseRefusals},
	{"auth: an app switched off and on again", 15 * time.Second, caseInactiveApp},
	{"auth: hostile requests around a credential", 20 * time.Second, caseHostile},
	{"auth: a key made while the plugin runs works at once", 15 * time.Second, caseNewKey},
}

func caseGoodKey(t *T) {
	k := t.Issue(t.Store(), appID)
	h := t.Start(Launch{Data: t.Store().Dir})
	resp, err := h.Auth(t.ctx, k.Text, grantedA)
	t.Check(err, "Authenticate")
	t.Assert(resp.Authenticated, "refused: %q", resp.ErrorMessage)
	t.Assert(resp.AppId == "7" && resp.UserId == "9", "app_id %q, user_id %q; want 7 and 9 in decimal", resp.AppId, resp.UserId)
	t.Assert(resp.ErrorMessage == "", "an acceptance with the text %q", resp.ErrorMessage)
	want := map[string]string{"tenant": tenant, "credential_id": k.ID, "credential_kind": "api_key", "environment": "live"}
	for name, value := range want {
		t.Assert(resp.Claims[name] == value, "claim %s is %q, want %q", name, resp.Claims[name], value)
	}
	_, scopes := resp.Claims["scopes"]
	t.Assert(scopes && resp.Claims["expires_at"] != "", "claims lack scopes or expires_at")
	for name, value := range resp.Claims {
		t.Assert(!t.Secrets.FoundIn([]byte(value)), "the claim %s holds a part of the secret", name)
	}
	resp, err = h.Auth(t.ctx, k.Text, 4)
	t.Check(err, "Authenticate for the second LLM")
	t.Assert(resp.Authenticated, "refused for the second granted LLM")
	t.Unload(h)
}

type attempt struct {
	name, credential string
	llm              uint32
}

// attempts lists credentials of which none may pass.
func (t *T) attempts(good, other, revoked, inactive Key) []attempt {
	head, secret, check, _ := good.split()
	otherHead, _, _, _ := other.split()
	changed := t.canary(len(secret))
	parts := strings.Split(head, "_") // lk, live, id, ""
	unknown := parts[0] + "_" + parts[1] + "_" + randomText(len(parts[2])) + "_"
	list := []attempt{
		{"wrong secret", head + changed + check, grantedA},
		{"unknown id", unknown + secret + check, grantedA},
		{"another key's secret", otherHead + secret + check, grantedA},
		{"one character cut off", good.Text[:len(good.Text)-1], grantedA},
		{"one character more", good.Text + "0", grantedA},
		{"other case", strings.ToUpper(good.Text), grantedA},
		{"only the prefix", "lk_live_", grantedA},
		{"only the id", good.ID, grantedA},
		{"all but the secret", head, grantedA},
		{"junk", "junk " + t.canary(32), grantedA},
		{"empty", "", grantedA},
		{"white space", " \t\r\n ", grantedA},
		{"1 MiB", t.canary(64) + strings.Repeat("A", 1<<20), grantedA},
		{"1 MiB behind a good prefix", head + strings.Repeat("0", 1<<20), grantedA},
		{"binary-looking text", "\x00\x01\x7f\u0080\u202e\U0001F511\ufffd" + t.canary(24), grantedA},
		{"a JWT without signature", "eyJhbGciOiJub25lIn0.eyJzdWIiOiI5In0.", grantedA},
		{"two dots", "..", grantedA},
		{"SQL", "' OR 1=1; --", grantedA},
		{"path", "../../../etc/passwd", grantedA},
		{"format", "%s%n{}{{}}${jndi:ldap://x}", grantedA},
		{"revoked", revoked.Text, grantedA},
		{"foreign LLM", good.Text, foreign},
		{"inactive app", inactive.Text, grantedA},
	}
	if text, ok := good.resealed(head + changed); ok {
		list = append(list, attempt{"wrong secret, right checksum", text, grantedA})
	} else {
		t.Note("checksum alphabet not recognised: three attempts left out")
	}
	if text, ok := good.resealed(otherHead + secret); ok {
		list = append(list, attempt{"another key's secret, right checksum", text, grantedA})
	}
	if text, ok := good.resealed(unknown + secret); ok {
		list = append(list, attempt{"unknown id, right checksum", text, grantedA})
	}
	return list
}

func caseRefusals(t *T) {
	s := t.Store()
	good, other, revoked, inactive := t.Issue(s, appID), t.Issue(s, appID), t.Issue(s, appID), t.Issue(s, otherApp)
	h := t.Start(Launch{Data: s.Dir})
	t.MustAuth(h, good, "the good key")
	t.MustAuth(h, revoked, "a key that will be revoked")
	t.Revoke(s, revoked)
	t.SetActive(s, otherApp, false)
	defer func() { _, _ = s.Run(t.ctx, "app", "set", "--tenant", tenant, "--id", "8", "--active", "true") }()
	t.Sleep(150 * time.Millisecond) // other processes follow within 100 ms

	texts := map[string]string{}
	list := t.attempts(good, other, revoked, inactive)
	for _, a := range list {
		t.Assert(utf8.ValidString(a.credential), "the attempt %s is not UTF-8", a.name)
		texts[t.MustRefuse(h, a.credential, a.llm, a.name)] = a.name
	}
	t.Assert(len(texts) == 1, "refusals can be told apart by their text: %v", texts)
	t.MustAuth(h, good, "the good key, after all that")
	t.Note("%d attempts", len(list))
	t.Unload(h)
}

func caseInactiveApp(t *T) {
	s := t.Store()
	k := t.Issue(s, otherApp)
	h := t.Start(Launch{Data: s.Dir})
	ok := func() bool {
		resp, err := h.Auth(t.ctx, k.Text, grantedA)
		t.Check(err, "Authenticate")
		t.Assert(!resp.Authenticated || resp.AppId == "8", "app_id %q", resp.AppId)
		return resp.Authenticated
	}
	t.Until(time.Second, "acceptance for the active app", ok)
	t.SetActive(s, otherApp, false)
	took := t.Until(100*time.Millisecond, "refusal after the app was switched off", func() bool { return !ok() })
	t.SetActive(s, otherApp, true)
	t.Until(time.Second, "acceptance after the app was switched on", ok)
	t.Note("off after %dms", took.Milliseconds())
	t.Unload(h)
}

// caseHostile puts odd things around a good and a bad credential; only the answer's form and the verdict matter.
func caseHostile(t *T) {
	k := t.Issue(t.Store(), appID)
	h := t.Start(Launch{Data: t.Store().Dir})
	deep := map[string]string{}
	for i := range 2000 {
		deep[fmt.Sprintf("X-Many-%d", i)] = strings.Repeat("v", 20)
	}
	odd := map[string]func(r *pb.AuthRequest){
		"no context":              func(r *pb.AuthRequest) { r.Context = nil },
		"no request":              func(r *pb.AuthRequest) { r.Request = nil },
		"neither":                 func(r *pb.AuthRequest) { r.Context, r.Request = nil, nil },
		"no llm":                  func(r *pb.AuthRequest) { r.Context.LlmId, r.Context.LlmSlug = 0, "" },
		"huge llm id":             func(r *pb.AuthRequest) { r.Context.LlmId = 1<<32 - 1 },
		"other auth type":         func(r *pb.AuthRequest) { r.AuthType = "basic\n" },
		"unix peer":               func(r *pb.AuthRequest) { r.Request.RemoteAddr = "@" },
		"broken peer":             func(r *pb.AuthRequest) { r.Request.RemoteAddr = "[::1%eth0]:99999999" },
		"host's own ids set":      func(r *pb.AuthRequest) { r.Context.AppId, r.Context.UserId = 1, 1 },
		"odd request id":          func(r *pb.AuthRequest) { r.Context.RequestId = strings.Repeat("\x1b[31m\n", 5000) },
		"2000 headers":            func(r *pb.AuthRequest) { r.Request.Headers = deep },
		"binary body":             func(r *pb.AuthRequest) { r.Request.Body = []byte{0xff, 0xfe, 0, 1, 2} },
		"header against argument": func(r *pb.AuthRequest) { r.Request.Headers["Authorization"] = "Bearer something-else" },
	}
	needsLLM := map[string]bool{"no context": true, "neither": true, "no llm": true, "huge llm id": true}
	for name, change := range odd {
		for _, credential := range []string{k.Text, "junk"} {
			req := h.env.authRequest(credential, grantedA, h.env.body())
			change(req)
			resp, err := h.svc.Authenticate(t.ctx, req)
			t.Check(err, name)
			if credential == "junk" || needsLLM[name] {
				t.Assert(!resp.Authenticated, "%s: accepted", name)
			}
			t.Assert(!resp.Authenticated || resp.AppId == "7", "%s: app_id %q", name, resp.AppId)
		}
	}
	t.MustAuth(h, k, "afterwards")
	t.Unload(h)
}

func caseNewKey(t *T) {
	h := t.Start(Launch{Data: t.Store().Dir})
	var worst time.Duration
	for range 3 {
		k := t.Issue(t.Store(), appID)
		took := t.Until(200*time.Millisecond, "acceptance of a new key", func() bool {
			resp, err := h.Auth(t.ctx, k.Text, grantedA)
			t.Check(err, "Authenticate")
			return resp.Authenticated
		})
		worst = max(worst, took)
	}
	t.Note("after %.1fms", float64(worst.Microseconds())/1000)
	t.Unload(h)
}
