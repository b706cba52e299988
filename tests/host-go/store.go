package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Store is a data directory, worked on only through the binary's own command line.
type Store struct {
	Dir string
	t   *Env
}

// Key is one issued API key.
type Key struct {
	ID, Text, Expires string
}

// The store's fixed contents: what the cases rely on.
const (
	tenant   = "acme"
	appID    = 7 // may use LLM 3 and 4
	otherApp = 8 // may use LLM 3; cases switch it on and off
	userID   = 9
	grantedA = 3
	foreign  = 5 // no app may use it
)

var operatorToken = regexp.MustCompile(`lkop_[0-9A-Za-z_]{16,}`)

func storeEnv(dir string) []string {
	return []string{"LATCHKEY_DATA_DIR=" + dir, "LATCHKEY_STORE__DEV=true"}
}

// NewStore makes and fills a data directory of its own.
func (t *T) NewStore() *Store {
	s := &Store{Dir: filepath.Join(t.TempDir(), "data"), t: t.Env}
	for _, args := range [][]string{
		{"--data-dir", s.Dir, "init"},
		{"tenant", "create", tenant, "--name", "Acme Ltd"},
		{"app", "add", "--tenant", tenant, "--id", "7", "--name", "Shop", "--owner-email", "ops@acme.example", "--llm", "3", "--llm", "4"},
		{"app", "add", "--tenant", tenant, "--id", "8", "--name", "Back office", "--owner-email", "ops@acme.example", "--llm", "3"},
		{"user", "add", "--tenant", tenant, "--id", "9", "--email", "ann@acme.example", "--name", "Ann"},
	} {
		_, err := s.Run(t.ctx, args...)
		t.Check(err, "preparing a store")
	}
	return s
}

// Store returns the store that most cases share. They only add keys of their own to it.
func (t *T) Store() *Store {
	if t.shared == nil {
		t.shared = t.NewStore()
	}
	return t.shared
}

// Run runs one command line on the store and returns its stdout.
func (s *Store) Run(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.t.Binary, args...)
	cmd.Env = append(os.Environ(), storeEnv(s.Dir)...)
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	for _, token := range operatorToken.FindAllString(stdout.String(), -1) {
		s.t.Secrets.Add(token[max(0, len(token)-24):])
	}
	if s.t.Verbose {
		fmt.Fprintf(os.Stderr, "      $ latchkey %s   (%s)\n", strings.Join(args, " "), time.Since(start).Round(time.Millisecond))
	}
	if err != nil {
		return stdout.String(), fmt.Errorf("latchkey %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	if s.t.Secrets.FoundIn(stderr.Bytes()) {
		return "", errors.New("latchkey " + strings.Join(args, " ") + ": a secret on stderr")
	}
	return stdout.String(), nil
}

// Issue makes a key for an app and the store's user.
func (t *T) Issue(s *Store, app int) Key { return t.IssueWith(s, app) }

// IssueWith does the same with further options.
func (t *T) IssueWith(s *Store, app int, more ...string) Key {
	out, err := s.Run(t.ctx, append([]string{"key", "issue", "--tenant", tenant, "--app", fmt.Sprint(app), "--user", fmt.Sprint(userID),
		"--label", "ci", "--expires-in", "90d", "--output", "json"}, more...)...)
	t.Check(err, "issuing a key")
	var doc struct {
		ID      string `json:"credential_id"`
		Key     string `json:"key"`
		Expires any    `json:"expires_at"`
	}
	t.Check(json.Unmarshal([]byte(out), &doc), "answer of key issue")
	t.Assert(doc.ID != "" && doc.Key != "" && doc.Expires != nil, "key issue answered without credential_id, key or expires_at")
	k := Key{ID: doc.ID, Text: doc.Key, Expires: fmt.Sprint(doc.Expires)}
	secret, ok := k.secretPart()
	t.Assert(ok, "an issued key does not look like lk_live_<id>_<secret><check>")
	t.Secrets.Add(secret)
	return k
}

// Revoke revokes a key and returns when the command line had said so.
func (t *T) Revoke(s *Store, k Key) time.Time {
	_, err := s.Run(t.ctx, "key", "revoke", k.ID, "--reason", "key_compromise")
	ack := time.Now()
	t.Check(err, "revoking a key")
	return ack
}

// SetActive switches an app on or off.
func (t *T) SetActive(s *Store, app int, active bool) {
	_, err := s.Run(t.ctx, "app", "set", "--tenant", tenant, "--id", fmt.Sprint(app), "--active", fmt.Sprint(active))
	t.Check(err, "switching an app")
}
