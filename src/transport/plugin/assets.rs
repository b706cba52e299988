//! The files of the Studio page, from a table in the binary: no path is ever looked up on disk.

use crate::pb::slim::plugin as pb;

struct Asset {
    path: &'static str,
    mime_type: &'static str,
    content: &'static [u8],
}

const ASSETS: &[Asset] = &[
    Asset {
        path: "/ui/admin.js",
        mime_type: "application/javascript",
        content: include_bytes!("../../../ui/admin.js"),
    },
    Asset { path: "/assets/icon.svg", mime_type: "image/svg+xml", content: include_bytes!("../../../ui/icon.svg") },
];

/// One file, with or without the leading slash. The text is one from which the host makes a 404.
pub fn get(path: &str) -> pb::GetAssetResponse {
    let wanted = path.trim_start_matches('/');
    match ASSETS.iter().find(|asset| asset.path.trim_start_matches('/') == wanted) {
        Some(asset) => pb::GetAssetResponse {
            success: true,
            content: asset.content.to_vec(),
            mime_type: asset.mime_type.to_owned(),
            error_message: String::new(),
            content_length: i64::try_from(asset.content.len()).unwrap_or(0),
        },
        None => pb::GetAssetResponse { error_message: "asset not found".to_owned(), ..Default::default() },
    }
}

/// The files whose path begins so.
pub fn list(prefix: &str) -> pb::ListAssetsResponse {
    let prefix = prefix.trim_start_matches('/');
    let assets = ASSETS.iter().filter(|asset| asset.path.trim_start_matches('/').starts_with(prefix));
    let info = |asset: &Asset| pb::AssetInfo {
        path: asset.path.to_owned(),
        mime_type: asset.mime_type.to_owned(),
        size: i64::try_from(asset.content.len()).unwrap_or(0),
    };
    pb::ListAssetsResponse { success: true, assets: assets.map(info).collect(), error_message: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_their_exact_path_only() {
        assert!(get("/ui/admin.js").success && get("ui/admin.js").success);
        for missing in ["", "/", "/ui/../ui/admin.js", "/etc/passwd", "/ui/admin.js/", "/UI/admin.js"] {
            let answer = get(missing);
            assert!(!answer.success && answer.error_message.contains("not found"), "{missing}");
        }
        assert_eq!(list("/ui").assets.len(), 1);
        assert_eq!(list("").assets.len(), ASSETS.len());
    }
}
