package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	pb "latchkey.test/hostgo/proto/plugin"
)

var logCases = []Case{
	{"logs: every line is hclog JSON that the host relays, none holds a secret", 20 * time.Second, caseLogs},
	{"logs: no file of the store holds a secret", 20 * time.Second, caseFiles},
}

func caseLogs(t *T) {
	k := t.Issue(t.Store(), appID)
	for _, l := range []Launch{{}, {Studio: true}, {AutoMTLS: true, Mux: true}} {
		l.Data = t.Store().Dir
		h := t.Start(l)
		t.MustAuth(h, k, "accepted")
		for _, c := range []string{"", "junk", k.Text + "x", k.Text[:len(k.Text)-7] + "AAAAAAA", "\x1b[31m\"quoted\"\n{\"@level\":7}", string(make([]byte, 100_000))} {
			t.MustRefuse(h, c, grantedA, "refused")
			_, err := h.svc.GetAppByCredential(t.ctx, &pb.GetAppRequest{Credential: c, Context: pluginContext(grantedA)})
			t.Check(err, "GetAppByCredential")
			_, err = h.svc.ProcessPreAuth(t.ctx, t.request(map[string]string{"Authorization": "Bearer " + c}, t.body(), pluginContext(grantedA)))
			t.Check(err, "ProcessPreAuth")
		}
		t.Unload(h)
		lines, infos := h.logs.Count("info")
		t.Assert(lines > 0, "not one log line")
		_, traces := h.logs.Count("trace")
		t.Assert(h.relayed.total() == lines-traces, "the host understood %d of %d lines above trace", h.relayed.total(), lines-traces)
		t.Assert(h.relayed.levels[hclog.Info] == infos, "the host took %d lines for info, the plugin wrote %d", h.relayed.levels[hclog.Info], infos)
		t.Note("%d lines", lines)
	}
}

// caseFiles searches what the whole run has left on disk.
func caseFiles(t *T) {
	t.Assert(t.Secrets.FoundIn([]byte("x"+headerCanary)), "the canaries are not registered")
	files := 0
	err := filepath.WalkDir(t.Store().Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		if t.Secrets.FoundIn(raw) {
			t.Problem("%s holds a part of a secret", filepath.Base(path))
		}
		return nil
	})
	t.Check(err, "reading the data directory")
	t.Assert(files > 0, "an empty data directory")
	t.Note("%d files", files)
}
