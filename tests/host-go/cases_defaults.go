package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "latchkey.test/hostgo/proto/plugin"
)

var defaultsCases = []Case{
	{"defaults: hooks that are not served, Studio's calls", 20 * time.Second, caseDefaults(true)},
	{"defaults: hooks that are not served, a gateway's calls", 20 * time.Second, caseDefaults(false)},
	{"defaults: assets, known and unknown", 15 * time.Second, caseAssets},
}

const (
	noResources = "plugin does not implement ResourceProvider"
	noAssets    = "plugin does not provide UI assets"
)

// fallback is the answer that the Go SDK gives for a hook that a plugin lacks.
type fallback struct {
	rpc    string
	hook   string // the manifest hook that says the call is served after all; empty: never served by this plugin
	studio bool   // only Studio makes this call
	req    proto.Message
	want   proto.Message // nil: a gRPC error of code Unknown with the text
	text   string
}

func fallbacks() []fallback {
	c := pluginContext(grantedA)
	data := &pb.DataCollectionResponse{Success: true}
	return []fallback{
		{"ProcessPostAuth", "post_auth", false, &pb.EnrichedRequest{UserId: "plugin-user", AppId: "7", Authenticated: true,
			Request: &pb.PluginRequest{Method: "POST", Headers: map[string]string{"A": "b"}, Body: []byte("{}"), Context: c}}, &pb.PluginResponse{}, ""},
		{"OnBeforeWriteHeaders", "on_response", false, &pb.HeadersRequest{Headers: map[string]string{"A": "b"}, Context: c}, &pb.HeadersResponse{}, ""},
		{"OnBeforeWrite", "on_response", false, &pb.ResponseWriteRequest{Body: []byte("x"), Headers: map[string]string{"A": "b"}, Context: c},
			&pb.ResponseWriteResponse{}, ""},
		{"OnStreamComplete", "on_response", false, &pb.StreamCompleteRequest{AccumulatedResponse: []byte("x"), Context: c},
			&pb.StreamCompleteResponse{}, ""},
		{"HandleProxyLog", "data_collection", false, &pb.ProxyLogRequest{AppId: 7, ResponseBody: []byte("x"), Context: c}, data, ""},
		{"HandleAnalytics", "data_collection", false, &pb.AnalyticsRequest{AppId: 7, Cost: 1.5, Context: c}, data, ""},
		{"HandleBudgetUsage", "data_collection", false, &pb.BudgetUsageRequest{AppId: 7, Cost: 1.5, Context: c}, data, ""},
		{"GetEndpointRegistrations", "custom_endpoint", false, &pb.GetEndpointRegistrationsRequest{}, &pb.GetEndpointRegistrationsResponse{}, ""},
		{"HandleEndpointRequest", "custom_endpoint", false, &pb.EndpointRequest{Method: "GET", Path: "/x", Context: c},
			&pb.EndpointResponse{StatusCode: 501, ErrorMessage: "plugin does not implement custom endpoints"}, ""},
		{"HandleEndpointRequestStream", "custom_endpoint", false, &pb.EndpointRequest{Method: "GET", Path: "/x", Context: c}, nil,
			"plugin does not implement streaming custom endpoints"},
		{"HandleAgentMessage", "agent", true, &pb.AgentMessageRequest{SessionId: "s", UserMessage: "m", Context: c}, nil,
			"plugin does not implement agent functionality"},
		{"GetObjectHookRegistrations", "object_hooks", true, &pb.GetObjectHookRegistrationsRequest{}, &pb.GetObjectHookRegistrationsResponse{}, ""},
		{"HandleObjectHook", "object_hooks", true, &pb.ObjectHookRequest{HookType: "before_delete", ObjectType: "user", UserId: 9, ObjectJson: `{"id":9}`},
			&pb.ObjectHookResponse{AllowOperation: true}, ""},
		{"ExecuteScheduledTask", "schedules", true, &pb.ExecuteScheduledTaskRequest{Context: c, Schedule: &pb.ScheduleDefinition{Id: "x"}}, nil,
			"plugin does not implement SchedulerPlugin"},
		{"AcceptEdgePayload", "", true, &pb.EdgePayloadRequest{Payload: []byte("x"), EdgeId: "e", CorrelationId: "c"},
			&pb.EdgePayloadResponse{ErrorMessage: "plugin does not implement EdgePayloadReceiver"}, ""},
		{"GetResourceTypeRegistrations", "resource_provider", true, &pb.GetResourceTypeRegistrationsRequest{},
			&pb.GetResourceTypeRegistrationsResponse{}, ""},
		{"ListResourceInstances", "resource_provider", true, &pb.ListResourceInstancesRequest{ResourceTypeSlug: "x"},
			&pb.ListResourceInstancesResponse{ErrorMessage: noResources}, ""},
		{"GetResourceInstance", "resource_provider", true, &pb.GetResourceInstanceRequest{ResourceTypeSlug: "x", InstanceId: "1"},
			&pb.GetResourceInstanceResponse{ErrorMessage: noResources}, ""},
		{"CreateResourceInstance", "resource_provider", true, &pb.CreateResourceInstanceRequest{ResourceTypeSlug: "x", Payload: []byte("{}")},
			&pb.CreateResourceInstanceResponse{ErrorMessage: noResources}, ""},
		{"ValidateResourceSelection", "resource_provider", true, &pb.ValidateResourceSelectionRequest{ResourceTypeSlug: "x", InstanceIds: []string{"1"}},
			&pb.ValidateResourceSelectionResponse{Valid: true}, ""},
		{"CloseSession", "", false, &pb.CloseSessionRequest{Reason: "timeout"}, &pb.CloseSessionResponse{Success: true}, ""},
	}
}

// served says whether the manifest promises the hook.
func (m manifest) served(hook string) bool {
	if hook == "schedules" {
		return len(m.Schedules) > 0
	}
	return hook != "" && m.has(hook)
}

func caseDefaults(studio bool) func(t *T) {
	return func(t *T) {
		h := t.Start(Launch{Studio: studio, Data: t.Store().Dir, NoSession: true})
		_, m := t.manifest(h)
		checked := 0
		var served []string
		for _, f := range fallbacks() {
			if f.studio && !studio {
				continue
			}
			if m.served(f.hook) {
				served = append(served, f.rpc)
				continue
			}
			checked++
			t.checkFallback(h, f)
		}
		t.Note("%d answers compared", checked)
		if len(served) > 0 {
			t.Note("served by manifest: %s", strings.Join(served, ", "))
		}
		t.Unload(h)
	}
}

// checkFallback makes the call and compares the answer field by field.
func (t *T) checkFallback(h *Host, f fallback) {
	ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	method := "/plugin.PluginService/" + f.rpc
	if f.want == nil {
		s, err := h.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
		t.Check(err, f.rpc)
		t.Check(s.SendMsg(f.req), f.rpc)
		t.Check(s.CloseSend(), f.rpc)
		err = s.RecvMsg(&pb.EndpointResponseChunk{})
		st, _ := status.FromError(err)
		if err == nil || errors.Is(err, io.EOF) || st.Code() != codes.Unknown || st.Message() != f.text {
			t.Problem("%s: got %v, want code Unknown with %q", f.rpc, err, f.text)
		}
		return
	}
	got := f.want.ProtoReflect().New().Interface()
	if err := h.conn.Invoke(ctx, method, f.req, got); err != nil {
		t.Problem("%s: %v", f.rpc, err)
		return
	}
	if !proto.Equal(got, f.want) || len(got.ProtoReflect().GetUnknown()) > 0 {
		t.Problem("%s: got {%v}, want {%v}", f.rpc, got, f.want)
	}
}

func caseAssets(t *T) {
	h := t.Start(Launch{Studio: true, Data: t.Store().Dir})
	_, m := t.manifest(h)
	list, err := h.svc.ListAssets(t.ctx, &pb.ListAssetsRequest{})
	t.Check(err, "ListAssets")
	if !m.has("studio_ui") && !m.has("portal_ui") {
		t.Assert(!list.Success && list.ErrorMessage == noAssets, "ListAssets: %v", list)
		one, err := h.svc.GetAsset(t.ctx, &pb.GetAssetRequest{AssetPath: "/x"})
		t.Check(err, "GetAsset")
		t.Assert(!one.Success && one.ErrorMessage == noAssets, "GetAsset: %v", one)
		t.Unload(h)
		return
	}
	t.Assert(list.Success, "ListAssets: %s", list.ErrorMessage)
	for _, bad := range []string{"", "/", "/nope.js", "/../../../etc/passwd", "/ui/..%2f..%2fetc/passwd", "//etc/passwd", "\x00"} {
		one, err := h.svc.GetAsset(t.ctx, &pb.GetAssetRequest{AssetPath: bad})
		t.Check(err, "GetAsset")
		t.Assert(!one.Success && strings.Contains(one.ErrorMessage, "not found") && len(one.Content) == 0, "asset %q: success=%v %q", bad, one.Success, one.ErrorMessage)
	}
	for _, s := range append(append(slots{}, m.UI.Slots...), m.Portal.Slots...) {
		for _, i := range s.Items {
			for _, path := range []string{i.Mount.Entry, strings.TrimPrefix(i.Mount.Entry, "/")} {
				one, err := h.svc.GetAsset(t.ctx, &pb.GetAssetRequest{AssetPath: path})
				t.Check(err, "GetAsset")
				t.Assert(one.Success && one.MimeType != "" && one.ContentLength == int64(len(one.Content)), "asset %q: success=%v %q, %d bytes of %d",
					path, one.Success, one.ErrorMessage, len(one.Content), one.ContentLength)
			}
		}
	}
	t.Note("%d assets", len(list.Assets))
	t.Unload(h)
}
