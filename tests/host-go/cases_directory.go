package main

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "latchkey.test/hostgo/proto/plugin"
)

var directoryCases = []Case{
	{"directory: V1: an app that the host lacks or switched off is refused", 60 * time.Second, caseHostApps},
	{"directory: V3: one call for a thousand who ask, the host's own fields", 60 * time.Second, caseOneCall},
	{"directory: V3: an outage, within the bound and after it", 60 * time.Second, caseOutage},
}

const quickTTL = "LATCHKEY_DIRECTORY__TTL_SECONDS=1"

// bothHosts runs under each with a store of its own: Studio's plugin writes down what Studio says.
func bothHosts(t *T, run func(Launch, Key)) {
	for _, studio := range []bool{false, true} {
		s := t.NewStore()
		k := t.Issue(s, appID)
		run(Launch{Studio: studio, AutoMTLS: studio, Data: s.Dir, Env: []string{quickTTL, "LATCHKEY_DIRECTORY__MAX_STALE_SECONDS=2"}}, k)
	}
}

func (h *Host) app(ctx context.Context, k Key) (*pb.App, error) {
	r, err := h.svc.GetAppByCredential(ctx, &pb.GetAppRequest{Credential: k.Text, Context: pluginContext(grantedA)})
	if err != nil || !r.Success {
		return nil, err
	}
	return r.App, nil
}

func caseHostApps(t *T) {
	bothHosts(t, func(l Launch, k Key) {
		h := t.Start(l)
		t.MustAuth(h, k, "while the host has the app")
		h.fakes.Change(func(apps map[uint32]*fakeApp) { apps[appID].inactive = true })
		t.Sleep(1200 * time.Millisecond)
		t.MustRefuse(h, k.Text, grantedA, "an app that the host switched off")
		h.fakes.Change(func(apps map[uint32]*fakeApp) { apps[appID].inactive = false })
		t.Sleep(1200 * time.Millisecond)
		t.MustAuth(h, k, "switched on again")
		h.fakes.Change(func(apps map[uint32]*fakeApp) { delete(apps, appID) })
		t.Sleep(1200 * time.Millisecond)
		t.MustRefuse(h, k.Text, grantedA, "an app that the host deleted")
		t.Unload(h)
	})
}

func caseOneCall(t *T) {
	bothHosts(t, func(l Launch, k Key) {
		l.Env = nil // a second may be over before the thousandth has asked
		h := t.Start(l)
		h.fakes.Delay(200 * time.Millisecond)
		var wg sync.WaitGroup
		for range 1000 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				app, err := h.app(t.ctx, k)
				if err != nil || app.GetId() != appID || app.GetName() != "Shop" {
					t.Problem("GetAppByCredential: %v, %v", app, err)
				}
			}()
		}
		wg.Wait()
		calls := h.fakes.Calls()["GetApp"]
		t.Assert(calls == 1, "%d calls of GetApp for 1000 who asked at once", calls)
		t.Unload(h)
	})
}

func caseOutage(t *T) {
	bothHosts(t, func(l Launch, k Key) {
		h := t.Start(l)
		t.MustAuth(h, k, "before the outage")
		h.fakes.Fail(status.Error(codes.Unavailable, "down"))
		t.Sleep(1500 * time.Millisecond)
		t.MustAuth(h, k, "older than its time, within the bound")
		t.Sleep(2 * time.Second)
		t.MustRefuse(h, k.Text, grantedA, "after the bound")
		h.fakes.Fail(nil)
		t.Sleep(1200 * time.Millisecond)
		t.MustAuth(h, k, "the host is back")
		t.Unload(h)
	})
}
