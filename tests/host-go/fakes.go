package main

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	studiopb "latchkey.test/hostgo/proto/ai_studio_management"
	mgwpb "latchkey.test/hostgo/proto/microgateway_management"
	eventspb "latchkey.test/hostgo/proto/plugin_events"
)

// Fakes is a small service API of the host, with events, and a record of what the plugin asked of it.
type Fakes struct {
	studio   bool
	pluginID uint32
	events   *bus

	mu    sync.Mutex
	apps  map[uint32]*fakeApp
	delay time.Duration
	fails error
	calls map[string]int
	kv    map[string][]byte
}

// NewFakes makes the service API of one kind of host for one plugin.
func NewFakes(studio bool, pluginID uint32) *Fakes {
	apps := map[uint32]*fakeApp{
		appID:    {id: appID, name: "Shop", llms: []uint32{3, 4}},
		otherApp: {id: otherApp, name: "Back office", llms: []uint32{3}},
	}
	return &Fakes{studio: studio, pluginID: pluginID, events: newBus(), apps: apps, calls: map[string]int{}, kv: map[string][]byte{}}
}

// Server builds the gRPC server that stands behind the broker id.
func (f *Fakes) Server(opts []grpc.ServerOption) *grpc.Server {
	opts = append(opts,
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			f.record(info.FullMethod)
			if c, ok := req.(interface{ GetContext() *mgwpb.PluginContext }); ok && c.GetContext().GetPluginId() != f.pluginID {
				return nil, status.Error(codes.Unauthenticated, "unknown plugin")
			}
			if err := f.mood(ctx); err != nil {
				return nil, err
			}
			return next(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			f.record(info.FullMethod)
			return next(srv, ss)
		}))
	s := grpc.NewServer(opts...)
	if f.studio {
		studiopb.RegisterAIStudioManagementServiceServer(s, &studioAPI{f: f})
	} else {
		mgwpb.RegisterMicrogatewayManagementServiceServer(s, &gatewayAPI{f: f})
	}
	eventspb.RegisterPluginEventServiceServer(s, f.events)
	return s
}

func (f *Fakes) record(method string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[path.Base(method)]++
}

// Calls returns how often each method was called.
func (f *Fakes) Calls() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]int{}
	for k, v := range f.calls {
		out[k] = v
	}
	return out
}

// scopeOf names the manifest scope that a service call needs; empty when it needs none.
func scopeOf(method string) string {
	switch {
	case strings.HasSuffix(method, "PluginKV"):
		return "kv.readwrite"
	case method == "GetApp", method == "ListApps":
		return "apps.read"
	case strings.HasSuffix(method, "App"), method == "PatchAppMetadata":
		return "apps.write"
	case method == "GetLLM", method == "ListLLMs":
		return "llms.read"
	case method == "GetBudgetStatus":
		return "budget.read"
	case method == "ValidateCredential":
		return "credentials.validate"
	case method == "QueueControlPayload":
		return "control.send"
	case method == "GetPlugin":
		return "plugins.read"
	case method == "UpdatePluginConfig":
		return "plugins.config"
	case strings.Contains(method, "Schedule"):
		return "scheduler.manage"
	}
	return ""
}

// mood makes a call wait or fail as told.
func (f *Fakes) mood(ctx context.Context) error {
	f.mu.Lock()
	delay, fails := f.delay, f.fails
	f.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
	return fails
}

// Delay makes every answer come so much later.
func (f *Fakes) Delay(by time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delay = by
}

// Fail makes every call fail, or none with nil.
func (f *Fakes) Fail(with error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails = with
}

// Change edits the host's apps.
func (f *Fakes) Change(edit func(map[uint32]*fakeApp)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	edit(f.apps)
}

type fakeApp struct {
	id       uint32
	name     string
	inactive bool
	llms     []uint32
}

func (f *Fakes) findApp(id uint32) (fakeApp, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a, ok := f.apps[id]; ok {
		return *a, true
	}
	return fakeApp{}, false
}

// allApps lists them, the newest first.
func (f *Fakes) allApps() []fakeApp {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []fakeApp
	for _, a := range f.apps {
		all = append(all, *a)
	}
	slices.SortFunc(all, func(a, b fakeApp) int { return cmp.Compare(b.id, a.id) })
	return all
}

type gatewayAPI struct {
	mgwpb.UnimplementedMicrogatewayManagementServiceServer
	f *Fakes
}

func gatewayApp(a fakeApp) *mgwpb.AppInfo {
	now := timestamppb.Now()
	return &mgwpb.AppInfo{Id: a.id, Name: a.name, OwnerEmail: "ops@acme.example", IsActive: !a.inactive, Metadata: "{}", CreatedAt: now, UpdatedAt: now}
}

func (g *gatewayAPI) GetApp(_ context.Context, r *mgwpb.GetAppRequest) (*mgwpb.GetAppResponse, error) {
	a, ok := g.f.findApp(r.AppId)
	if !ok { // the edge says Internal, not NotFound
		return nil, status.Errorf(codes.Internal, "failed to get app: app not found: %d", r.AppId)
	}
	return &mgwpb.GetAppResponse{App: gatewayApp(a)}, nil
}

func (g *gatewayAPI) ListApps(context.Context, *mgwpb.ListAppsRequest) (*mgwpb.ListAppsResponse, error) {
	apps := g.f.allApps()
	out := &mgwpb.ListAppsResponse{TotalCount: int64(len(apps))}
	for _, a := range apps {
		out.Apps = append(out.Apps, gatewayApp(a))
	}
	return out, nil
}

func (g *gatewayAPI) GetLLM(_ context.Context, r *mgwpb.GetLLMRequest) (*mgwpb.GetLLMResponse, error) {
	if r.LlmId < 3 || r.LlmId > 5 {
		return nil, status.Errorf(codes.Internal, "failed to get LLM: LLM not found: %d", r.LlmId)
	}
	return &mgwpb.GetLLMResponse{Llm: &mgwpb.LLMInfo{Id: r.LlmId, Name: "LLM", Vendor: "openai", Slug: slugOf(r.LlmId), IsActive: true}}, nil
}

func (g *gatewayAPI) WritePluginKV(_ context.Context, r *mgwpb.WritePluginKVRequest) (*mgwpb.WritePluginKVResponse, error) {
	if len(r.Value) == 0 {
		return nil, status.Error(codes.Internal, "failed to write value")
	}
	return &mgwpb.WritePluginKVResponse{Created: g.f.kvWrite(r.Key, r.Value)}, nil
}

func (g *gatewayAPI) ReadPluginKV(_ context.Context, r *mgwpb.ReadPluginKVRequest) (*mgwpb.ReadPluginKVResponse, error) {
	v, err := g.f.kvRead(r.Key)
	return &mgwpb.ReadPluginKVResponse{Value: v}, err
}

func (g *gatewayAPI) ValidateCredential(context.Context, *mgwpb.ValidateCredentialRequest) (*mgwpb.ValidateCredentialResponse, error) {
	return &mgwpb.ValidateCredentialResponse{}, nil // always invalid, as on the real one
}

func (g *gatewayAPI) GetLicenseInfo(context.Context, *mgwpb.GetLicenseInfoRequest) (*mgwpb.GetLicenseInfoResponse, error) {
	return &mgwpb.GetLicenseInfoResponse{LicenseValid: true, LicenseType: "enterprise"}, nil
}

func (g *gatewayAPI) QueueControlPayload(_ context.Context, r *mgwpb.QueueControlPayloadRequest) (*mgwpb.QueueControlPayloadResponse, error) {
	if len(r.Payload) == 0 || len(r.Payload) > 1<<20 {
		return &mgwpb.QueueControlPayloadResponse{ErrorMessage: "payload size out of range"}, nil
	}
	return &mgwpb.QueueControlPayloadResponse{Success: true, PendingCount: 1}, nil
}

func (f *Fakes) kvWrite(key string, value []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, had := f.kv[key]
	f.kv[key] = append([]byte(nil), value...)
	return !had
}

func (f *Fakes) kvRead(key string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, ok := f.kv[key]
	if !ok {
		return nil, status.Error(codes.NotFound, "key not found")
	}
	return v, nil
}
