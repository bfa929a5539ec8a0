"""The official Python SDK as a client of the sandbox: sdk.py SANDBOX_URL INTEGRATION_ID."""

import sys
import time
from datetime import datetime, timezone

import PureCloudPlatformClientV2 as sdk
from PureCloudPlatformClientV2.rest import ApiException

CLIP_URL = "https://voice.example.com/media/python.ogg?a=1&b=2"


def same(found, wanted):
    """Ends the script where two values differ."""
    if found != wanted:
        sys.exit(f"{found!r} is not {wanted!r}")


def refused(status, code, call):
    """The call must be refused with this status, and this code in an error body."""
    try:
        call()
    except ApiException as error:
        same(error.status, status)
        if code is not None and f'"code":"{code}"' not in error.body.replace(": ", ":"):
            sys.exit(f"no code {code} in {error.body}")
    else:
        sys.exit(f"not refused with {status}")


def message(sdk_time):
    """An open message with a clip."""
    guest = sdk.OpenMessagingFromRecipient()
    guest.id, guest.id_type, guest.nickname = "guest-py", "Opaque", "Ada"
    channel = sdk.OpenInboundMessageMessagingChannel()
    channel.pcFrom, channel.time, channel.message_id = guest, sdk_time, "py-1"
    clip = sdk.ConversationContentAttachment()
    clip.media_type, clip.url, clip.mime = "Audio", CLIP_URL, "audio/ogg"
    content = sdk.OpenInboundMessageContent()
    content.attachment = clip
    body = sdk.OpenInboundNormalizedMessage()
    body.channel, body.text, body.content = channel, "Where is it?", [content]
    return body


def main(url, integration):
    """Signs in, posts, reads, deletes."""
    client = sdk.api_client.ApiClient(host=url)
    refused(400, None, lambda: client.get_client_credentials_token("sandbox-client", "wrong"))
    client.get_client_credentials_token("sandbox-client", "sandbox-secret")
    api = sdk.ConversationsApi(client)

    post = api.post_conversations_message_inbound_open_message
    now = datetime.now(timezone.utc)
    posted = post(integration, message(now), prefetch_conversation_id=True)
    same(posted.channel.message_id, "py-1")
    same(posted.content[0].attachment.url, CLIP_URL)
    other = "0be11e55-0000-4000-8000-0000000000ff"
    refused(404, "not.found", lambda: post(other, message(now)))
    refused(400, "bad.request", lambda: post(integration, message(None)))

    details = api.get_conversations_message_details(posted.id)
    same(details.provider_message_id, "py-1")
    same(details.messenger_type, "open")
    same(details.normalized_message.content[0].attachment.media_type, "Audio")
    conversation = api.get_conversations_message(details.conversation_id)
    same(conversation.participants[0].messages[0].message_id, posted.id)

    def cached():
        return api.get_conversations_messages_cachedmedia(url=CLIP_URL).entities

    same([item.url for item in cached()], [CLIP_URL])
    api.delete_conversations_messages_cachedmedia_cached_media_item_id(cached()[0].id)
    looks = 0
    while cached() and looks < 50:
        time.sleep(0.1)
        looks += 1
    same(cached(), [])
    print(f"ok: {posted.id}")


main(*sys.argv[1:])
