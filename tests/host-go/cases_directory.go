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
	{"directory: V1, V5: Studio's word reaches a gateway on the same store", 60 * time.Second, caseStudioKeeps},
	{"directory: V2: a user hook refuses, registered as Studio checks it", 60 * time.Second, caseUserHook},
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

// until asks again and again until the key is answered like that.
func (t *T) until(h *Host, k Key, llm uint32, want bool, what string) {
	t.Until(10*time.Second, what, func() bool {
		resp, err := h.Auth(t.ctx, k.Text, llm)
		t.Check(err, what)
		return resp.Authenticated == want
	})
}

// pair starts Studio's plugin and a gateway's that knows nothing but the store.
func pair(t *T) (studio, gateway *Host, k Key) {
	s := t.NewStore()
	k = t.Issue(s, appID)
	studio = t.Start(Launch{Studio: true, Data: s.Dir, Env: []string{"LATCHKEY_DIRECTORY__RECONCILE_SECONDS=1"}})
	gateway = t.Start(Launch{Data: s.Dir, Env: []string{"LATCHKEY_DIRECTORY__SOURCE=store"}})
	t.Until(10*time.Second, "a first comparison", func() bool { return studio.fakes.Calls()["ListApps"] >= 2 })
	return studio, gateway, k
}

func caseStudioKeeps(t *T) {
	studio, gateway, k := pair(t)
	t.until(gateway, k, grantedA, true, "granted by Studio")
	studio.fakes.Change(func(apps map[uint32]*fakeApp) { apps[appID].llms = []uint32{5} })
	t.until(gateway, k, grantedA, false, "a grant that Studio took away")
	t.until(gateway, k, 5, true, "a grant that Studio gave")
	studio.fakes.Change(func(apps map[uint32]*fakeApp) { apps[appID].inactive = true })
	t.until(gateway, k, 5, false, "an app that Studio switched off")
	studio.fakes.Change(func(apps map[uint32]*fakeApp) { apps[appID].inactive = false })
	t.until(gateway, k, 5, true, "switched on again")
	t.Unload(gateway)
	t.Unload(studio)
}

func caseUserHook(t *T) {
	studio, gateway, k := pair(t)
	regs, err := studio.svc.GetObjectHookRegistrations(t.ctx, &pb.GetObjectHookRegistrationsRequest{})
	t.Check(err, "GetObjectHookRegistrations")
	known := map[string]bool{"llm": true, "datasource": true, "tool": true, "user": true}
	for _, r := range regs.Registrations {
		t.Assert(known[r.ObjectType] && len(r.HookTypes) > 0, "a registration that Studio refuses: %v", r)
		t.Assert(r.Priority > 50 && r.Priority <= 100, "%s runs at %d", r.ObjectType, r.Priority)
	}
	t.Assert(len(regs.Registrations) > 0, "nothing is registered")
	secret := t.canary(24)
	tell := func(hook, object string) {
		r, err := studio.svc.HandleObjectHook(t.ctx, &pb.ObjectHookRequest{HookType: hook, ObjectType: "user", OperationId: "op", ObjectJson: object})
		t.Check(err, hook)
		t.Assert(r.AllowOperation && !r.Modified && len(r.PluginMetadata) == 0, "%s: %v", hook, r)
	}
	t.until(gateway, k, grantedA, true, "before")
	tell("after_delete", `{"ID":9,"id":9,"email":"ann@acme.example","Name":"Ann","password":"`+secret+`"}`)
	t.MustRefuse(studio, k.Text, grantedA, "told and answered")
	t.until(gateway, k, grantedA, false, "in another process")
	tell("after_update", `{"ID":9,"id":9,"email":"ann@acme.example","Name":"Ann"}`)
	t.MustRefuse(studio, k.Text, grantedA, "a word of before brings nobody back")
	tell("after_create", `{"ID":9,"DeletedAt":null,"id":9,"email":"ann@acme.example","Name":"Ann","APIKey":"`+secret+`"}`)
	t.until(gateway, k, grantedA, true, "there again")
	t.Unload(gateway)
	t.Unload(studio)
}
