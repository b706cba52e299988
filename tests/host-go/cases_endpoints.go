package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	pb "latchkey.test/hostgo/proto/plugin"
)

var endpointCases = []Case{
	{"endpoints: what is registered, and what is public", 15 * time.Second, caseEndpoints},
	{"endpoints: a token is issued, authenticates, and ends with its key", 20 * time.Second, caseToken},
	{"endpoints: introspection and revocation", 20 * time.Second, caseIntrospection},
	{"endpoints: wrong secrets, wrong requests, large bodies", 20 * time.Second, caseBadClients},
}

const formType = "application/x-www-form-urlencoded"

// endpoint is a request as a gateway hands it on. The key, if any, goes into a Basic header without a name.
func (t *T) endpoint(h *Host, method, path, key string, form url.Values) *pb.EndpointResponse {
	resp, err := h.svc.HandleEndpointRequest(t.ctx, endpointRequest(method, path, key, form))
	t.Check(err, method+" "+path)
	t.Assert(resp.ErrorMessage == "", "%s %s: an error message would become the host's own body: %q", method, path, resp.ErrorMessage)
	for name := range resp.Headers {
		t.Assert(!strings.EqualFold(name, "Set-Cookie"), "%s %s sets a cookie", method, path)
	}
	return resp
}

func endpointRequest(method, path, key string, form url.Values) *pb.EndpointRequest {
	headers := map[string]string{"Content-Type": formType, "X-Forwarded-For": "192.0.2.1", "User-Agent": "conformance/1"}
	if key != "" {
		headers["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(":"+url.QueryEscape(key)))
	}
	return &pb.EndpointRequest{
		Method: method, Path: "/plugins/latchkey" + path, RelativePath: path, PathSegments: strings.Split(path[1:], "/"), Headers: headers,
		Body: []byte(form.Encode()), RemoteAddr: "192.0.2.1", Host: "gateway.example", Protocol: "HTTP/1.1",
		Context: &pb.PluginContext{RequestId: fmt.Sprintf("req_%d", time.Now().UnixNano())},
	}
}

var clientCredentials = url.Values{"grant_type": {"client_credentials"}}

func (t *T) jsonOf(resp *pb.EndpointResponse) map[string]any {
	var doc map[string]any
	t.Check(json.Unmarshal(resp.Body, &doc), "an answer that is no JSON object")
	return doc
}

// token gets one for a key, and registers it as a secret.
func (t *T) token(h *Host, k Key) string {
	resp := t.endpoint(h, "POST", "/oauth/token", k.Text, clientCredentials)
	t.Assert(resp.StatusCode == 200, "no token for a good key: %d %s", resp.StatusCode, resp.Body)
	t.Assert(resp.Headers["Cache-Control"] == "no-store" && resp.Headers["Content-Type"] == "application/json", "headers %v", resp.Headers)
	doc := t.jsonOf(resp)
	token, _ := doc["access_token"].(string)
	parts := strings.Split(token, ".")
	t.Assert(len(parts) == 3 && doc["token_type"] == "Bearer" && doc["expires_in"].(float64) > 0, "no token in the answer")
	t.Secrets.Add(parts[1])
	t.Secrets.Add(parts[2])
	return token
}

func caseEndpoints(t *T) {
	h := t.Start(Launch{Data: t.Store().Dir})
	_, m := t.manifest(h)
	t.Assert(m.has("custom_endpoint"), "the manifest lacks the hook: no host would ask")
	all, err := h.svc.GetEndpointRegistrations(t.ctx, &pb.GetEndpointRegistrationsRequest{})
	t.Check(err, "GetEndpointRegistrations")
	known := strings.Fields("GET POST PUT DELETE PATCH OPTIONS HEAD")
	var paths []string
	for _, r := range all.Registrations {
		paths = append(paths, r.Path)
		t.Assert(strings.HasPrefix(r.Path, "/") && !strings.Contains(r.Path, "..") && !strings.Contains(r.Path, "*"), "path %q", r.Path)
		t.Assert(!r.RequireAuth && !r.StreamResponse && len(r.Methods) > 0, "%s: %v", r.Path, r)
		for _, method := range r.Methods {
			t.Assert(slices.Contains(known, method), "%s: method %q", r.Path, method)
		}
	}
	slices.Sort(paths)
	want := []string{"/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/oauth/introspect", "/oauth/revoke", "/oauth/token"}
	t.Assert(slices.Equal(paths, want), "registered: %v", paths)

	keys := t.endpoint(h, "GET", "/.well-known/jwks.json", "", nil)
	t.Assert(keys.StatusCode == 200 && keys.Headers["Content-Type"] == "application/jwk-set+json", "%d %v", keys.StatusCode, keys.Headers)
	set, _ := t.jsonOf(keys)["keys"].([]any)
	t.Assert(len(set) == 1 && !bytes.Contains(keys.Body, []byte(`"d"`)), "keys: %s", keys.Body)
	t.Assert(t.endpoint(h, "GET", "/oauth/token", "", nil).StatusCode == 405, "GET of the token endpoint")
	t.Assert(t.endpoint(h, "POST", "/oauth/other", "", nil).StatusCode == 404, "what is not there")
	t.Unload(h)
}

func caseToken(t *T) {
	k := t.Issue(t.Store(), appID)
	h := t.Start(Launch{Data: t.Store().Dir})
	token := t.token(h, k)
	resp, err := h.Auth(t.ctx, token, grantedA)
	t.Check(err, "Authenticate")
	t.Assert(resp.Authenticated && resp.AppId == fmt.Sprint(appID) && resp.UserId == fmt.Sprint(userID), "a token was refused: %v", resp.ErrorMessage)
	t.Assert(resp.Claims["credential_kind"] == "jwt" && resp.Claims["credential_id"] == k.ID, "claims %v", resp.Claims)

	// The same answer in pieces.
	stream, err := h.svc.HandleEndpointRequestStream(t.ctx, endpointRequest("POST", "/oauth/token", k.Text, clientCredentials))
	t.Check(err, "HandleEndpointRequestStream")
	var kinds []pb.EndpointResponseChunk_ChunkType
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		t.Check(err, "a piece")
		kinds = append(kinds, chunk.Type)
	}
	t.Assert(len(kinds) == 3 && kinds[0] == pb.EndpointResponseChunk_HEADERS && kinds[2] == pb.EndpointResponseChunk_DONE, "pieces %v", kinds)

	// What was derived buys nothing.
	again := t.endpoint(h, "POST", "/oauth/token", token, clientCredentials)
	t.Assert(again.StatusCode == 401, "a token for a token: %d", again.StatusCode)
	ack := t.Revoke(t.Store(), k)
	t.Until(time.Second, "the token ends with its key", func() bool {
		resp, err := h.Auth(t.ctx, token, grantedA)
		t.Check(err, "Authenticate")
		return !resp.Authenticated
	})
	t.Note("refused %s after the key was revoked", time.Since(ack).Round(time.Millisecond))
	t.Assert(t.endpoint(h, "POST", "/oauth/token", k.Text, clientCredentials).StatusCode == 401, "a token for a revoked key")
	t.Unload(h)
}

func caseIntrospection(t *T) {
	k := t.Issue(t.Store(), appID)
	may := t.IssueWith(t.Store(), appID, "--scope", "introspect")
	h := t.Start(Launch{Data: t.Store().Dir})
	token := t.token(h, k)
	ask := func(key, token string) *pb.EndpointResponse {
		return t.endpoint(h, "POST", "/oauth/introspect", key, url.Values{"token": {token}})
	}
	active := t.jsonOf(ask(may.Text, token))
	t.Assert(active["active"] == true && active["client_id"] == k.ID && active["tenant"] == tenant, "introspection: %v", active)
	inactive := []byte(`{"active":false}`)
	for _, other := range []string{"x", "a.b.c", k.Text, token[:len(token)-4] + "AAAA"} {
		resp := ask(may.Text, other)
		t.Assert(resp.StatusCode == 200 && bytes.Equal(resp.Body, inactive), "%d %s", resp.StatusCode, resp.Body)
	}
	t.Assert(ask(k.Text, token).StatusCode == 403, "introspection without the scope")
	t.Assert(ask("", token).StatusCode == 401, "introspection by nobody")

	revoke := func(key, token string) {
		resp := t.endpoint(h, "POST", "/oauth/revoke", key, url.Values{"token": {token}})
		t.Assert(resp.StatusCode == 200 && len(resp.Body) == 0, "revocation: %d %s", resp.StatusCode, resp.Body)
	}
	revoke(may.Text, token)
	t.Assert(t.jsonOf(ask(may.Text, token))["active"] == true, "another's token was taken back")
	for range 2 {
		revoke(k.Text, token)
		t.Assert(bytes.Equal(ask(may.Text, token).Body, inactive), "a token that was taken back is active")
		t.MustRefuse(h, token, grantedA, "a token that was taken back")
	}
	revoke(k.Text, "unknown")
	t.MustAuth(h, k, "the key stays good")
	t.Unload(h)
}

func caseBadClients(t *T) {
	k := t.Issue(t.Store(), appID)
	bound := t.IssueWith(t.Store(), appID, "--cidr", "192.0.2.0/24")
	h := t.Start(Launch{Data: t.Store().Dir})
	head, secret, check, _ := k.split()
	wrong, ok := k.resealed(head + t.canary(len(secret)))
	t.Assert(ok, "a wrong key with the right checksum")
	first := t.endpoint(h, "POST", "/oauth/token", wrong, clientCredentials)
	t.Assert(first.StatusCode == 401 && strings.HasPrefix(first.Headers["WWW-Authenticate"], "Basic "), "%d %v", first.StatusCode, first.Headers)
	for name, key := range map[string]string{"no key": "", "junk": "junk", "a wrong checksum": head + secret + check[:5] + "!", "bound to an address": bound.Text} {
		resp := t.endpoint(h, "POST", "/oauth/token", key, clientCredentials)
		t.Assert(resp.StatusCode == 401 && bytes.Equal(resp.Body, first.Body), "%s: %d %s", name, resp.StatusCode, resp.Body)
	}
	large := endpointRequest("POST", "/oauth/token", k.Text, nil)
	large.Body = bytes.Repeat([]byte("x"), 1<<20)
	resp, err := h.svc.HandleEndpointRequest(t.ctx, large)
	t.Check(err, "a body of 1 MiB")
	t.Assert(resp.StatusCode == 413, "a body of 1 MiB: %d", resp.StatusCode)
	lower := endpointRequest("POST", "/oauth/token", "", clientCredentials)
	lower.Headers["authorization"] = "basic " + base64.StdEncoding.EncodeToString([]byte(k.ID+":"+k.Text))
	resp, err = h.svc.HandleEndpointRequest(t.ctx, lower)
	t.Check(err, "a header in lower case")
	t.Assert(resp.StatusCode == 200, "a header in lower case: %d", resp.StatusCode)
	t.Unload(h)
}
