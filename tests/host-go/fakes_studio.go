package main

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	studiopb "latchkey.test/hostgo/proto/ai_studio_management"
	eventspb "latchkey.test/hostgo/proto/plugin_events"
)

type studioAPI struct {
	studiopb.UnimplementedAIStudioManagementServiceServer
	f *Fakes
}

func studioApp(a fakeApp) *studiopb.AppInfo {
	now := timestamppb.Now() // owner_email stays empty, as on the real one
	return &studiopb.AppInfo{Id: a.id, Name: a.name, IsActive: !a.inactive, LlmIds: a.llms, UserId: userID, Metadata: "{}", CreatedAt: now, UpdatedAt: now}
}

func (s *studioAPI) GetApp(_ context.Context, r *studiopb.GetAppRequest) (*studiopb.GetAppResponse, error) {
	if r.AppId == 0 {
		return nil, status.Error(codes.InvalidArgument, "app_id is required")
	}
	a, ok := s.f.findApp(r.AppId)
	if !ok {
		return nil, status.Error(codes.NotFound, "app not found")
	}
	return &studiopb.GetAppResponse{App: studioApp(a)}, nil
}

func (s *studioAPI) ListApps(_ context.Context, r *studiopb.ListAppsRequest) (*studiopb.ListAppsResponse, error) {
	apps := s.f.allApps()
	out := &studiopb.ListAppsResponse{TotalCount: int64(len(apps))}
	if r.Page > 1 {
		return out, nil
	}
	for _, a := range apps {
		out.Apps = append(out.Apps, studioApp(a))
	}
	return out, nil
}

func (s *studioAPI) GetLLM(_ context.Context, r *studiopb.GetLLMRequest) (*studiopb.GetLLMResponse, error) {
	if r.LlmId < 3 || r.LlmId > 5 {
		return nil, status.Error(codes.NotFound, "LLM not found")
	}
	return &studiopb.GetLLMResponse{Llm: &studiopb.LLMInfo{Id: r.LlmId, Name: "LLM", Vendor: "openai", Active: true}}, nil
}

func (s *studioAPI) WritePluginKV(_ context.Context, r *studiopb.WritePluginKVRequest) (*studiopb.WritePluginKVResponse, error) {
	if r.Key == "" {
		return nil, status.Error(codes.InvalidArgument, "key is required")
	}
	return &studiopb.WritePluginKVResponse{Created: s.f.kvWrite(r.Key, r.Value)}, nil
}

func (s *studioAPI) ReadPluginKV(_ context.Context, r *studiopb.ReadPluginKVRequest) (*studiopb.ReadPluginKVResponse, error) {
	v, err := s.f.kvRead(r.Key)
	return &studiopb.ReadPluginKVResponse{Value: v}, err
}

func (s *studioAPI) GetLicenseInfo(context.Context, *studiopb.GetLicenseInfoRequest) (*studiopb.GetLicenseInfoResponse, error) {
	return &studiopb.GetLicenseInfoResponse{LicenseType: "community"}, nil
}

// bus is an event bus that keeps nothing: 100 events wait for a slow subscriber, more are dropped.
type bus struct {
	eventspb.UnimplementedPluginEventServiceServer
	mu   sync.Mutex
	next int
	subs map[chan *eventspb.EventMessage]string
}

func newBus() *bus { return &bus{subs: map[chan *eventspb.EventMessage]string{}} }

func (b *bus) Publish(_ context.Context, r *eventspb.PublishRequest) (*eventspb.PublishResponse, error) {
	if r.Topic == "" {
		return &eventspb.PublishResponse{ErrorMessage: "topic is required"}, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	id := fmt.Sprintf("evt-%d", b.next)
	for sub, topic := range b.subs {
		if topic == "" || topic == r.Topic {
			select {
			case sub <- &eventspb.EventMessage{Id: id, Topic: r.Topic, Origin: "plugin:" + r.PluginId + "@test", Payload: r.Payload}:
			default:
			}
		}
	}
	return &eventspb.PublishResponse{Success: true, EventId: id}, nil
}

func (b *bus) Subscribe(r *eventspb.SubscribeRequest, out grpc.ServerStreamingServer[eventspb.EventMessage]) error {
	ch := make(chan *eventspb.EventMessage, 100)
	topic := r.Topic
	if r.SubscribeAll {
		topic = ""
	}
	b.mu.Lock()
	b.subs[ch] = topic
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.subs, ch)
		b.mu.Unlock()
	}()
	for {
		select {
		case e := <-ch:
			if err := out.Send(e); err != nil {
				return err
			}
		case <-out.Context().Done():
			return nil
		}
	}
}

func (b *bus) Unsubscribe(context.Context, *eventspb.UnsubscribeRequest) (*eventspb.UnsubscribeResponse, error) {
	return &eventspb.UnsubscribeResponse{Success: true}, nil
}
