#!/usr/bin/env bash
# Calls every endpoint with good, bad and missing input, and says of each whether the answer is
# the one it should be:
#
#     examples/every_endpoint.sh                       # http://127.0.0.1:8000
#     BASE_URL=http://host:9000 examples/every_endpoint.sh
#
# Needs bash and curl, and a service with the default settings. Exit status: 0 when all are right,
# 1 when one is wrong, 2 when there is no service.
set -u
cd "$(dirname "$0")/photos" || exit 2

base=${BASE_URL:-http://127.0.0.1:8000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
calls=0 wrong=0

# call WHAT STATUS TEXT CURL-ARGUMENTS...: the answer has this status, and its header or body TEXT.
call() {
    local what=$1 expected=$2 text=$3 got verdict=ok
    shift 3
    got=$(curl --silent --max-time 60 --dump-header "$work/header" --output "$work/body" \
        --write-out '%{http_code}' "$@")
    if [ "$got" != "$expected" ] || ! cat "$work/header" "$work/body" | grep -qF -- "$text"; then
        verdict=WRONG wrong=$((wrong + 1))
    fi
    calls=$((calls + 1))
    printf '%-5s  expected %s  got %s  %s\n' "$verdict" "$expected" "$got" "$what"
    [ "$verdict" = ok ] || { echo "       expected to find: $text"; head -c 600 "$work/body"; echo; }
}

# json TEXT...: a file with a JSON body, for curl's --data-binary @file.
json() {
    printf '%s' "$@" >"$work/json"
    printf '%s' "$work/json"
}

if ! curl --silent --max-time 10 --output "$work/body" "$base/livez"; then
    echo "every_endpoint.sh: no service at $base (start one: make run)" >&2
    exit 2
fi
base64=$(base64 <cat.jpg | tr -d '\n')
as_json=(-H 'Content-Type: application/json')
: >"$work/empty"
echo 'not a photo, whatever its name says' >"$work/text.jpg"
head -c 9000 cat.jpg >"$work/cut.jpg"
head -c 17825792 /dev/zero >"$work/large" # 17 MiB, one over the limit
many='[[1,1],[2,2],[3,3],[4,4],[5,5],[6,6],[7,7],[8,8],[9,9],[10,10],[11,11],[12,12],[13,13]'

echo '# How the service is'
call 'live' 200 '"live":true' "$base/livez"
call 'ready' 200 '"ready":true' "$base/readyz"
call 'metrics' 200 batchpoint_workers "$base/metrics"
call 'models' 200 '"default":"tags"' "$base/models"
call 'API description' 200 application/json "$base/openapi.json"
call 'the page' 200 text/html "$base/"
call 'a file of the page' 200 text/css "$base/static/style.css"

echo '# The three bodies'
call 'form' 200 '"themes":' -F image=@cat.jpg -F x=220 -F y=120 "$base/predict"
call 'form, parameters in the address' 200 '"x":220' -F image=@cat.jpg "$base/predict?x=220&y=120"
call 'the bytes of the image' 200 '"colors":' --data-binary @cat.jpg "$base/predict?x=220&y=120"
call 'JSON with base64' 200 '"x":220' "${as_json[@]}" \
    --data-binary "@$(json '{"image":"' "$base64" '","x":220,"y":120}')" "$base/predict"
call 'JSON that is not declared as such' 200 '"success":true' \
    --data-binary "@$(json '{"image":"' "$base64" '"}')" "$base/predict"
call 'the model by its name' 200 '"model":"tags"' -F image=@coffee.jpg "$base/predict/tags"

call 'one classifier of it' 200 '"colors":' -F image=@cat.jpg -F classifiers=colors "$base/predict"
call 'no such classifier' 422 bad-parameter -F image=@cat.jpg -F classifiers=smells "$base/predict"

echo '# A retry is the same request'
retry=(-H "Idempotency-Key: every-endpoint-$$-$RANDOM" -F image=@cat.jpg)
call 'the first' 200 '"success":true' "${retry[@]}" "$base/predict"
id=$(sed -n 's/.*"request_id":"\([0-9a-f]*\)".*/\1/p' "$work/body")
call 'the same again: the same id' 200 "\"request_id\":\"${id:-none}\"" "${retry[@]}" "$base/predict"
call 'another under its key' 409 idempotency-conflict "${retry[@]}" -F x=1 -F y=1 "$base/predict"

echo '# Points'
call 'no point: the centre' 200 '"point":{"x":225,"y":150}' -F image=@cat.jpg "$base/predict"
call 'the first corner' 200 '"x":0,"y":0' -F image=@cat.jpg -F x=0 -F y=0 "$base/predict"
call 'the last corner' 200 '"x":450,"y":299' -F image=@cat.jpg -F x=450 -F y=299 "$base/predict"
call 'several points' 200 '"points":[' -F image=@cat.jpg -F 'points=[[220,120],[10,20]]' \
    "$base/predict"
call 'several points, as JSON' 200 '"points":[' "${as_json[@]}" \
    --data-binary "@$(json '{"image":"' "$base64" '","points":[[220,120],[10,20]]}')" \
    "$base/predict"
call 'outside, to the right' 422 point-outside -F image=@cat.jpg -F x=451 -F y=0 "$base/predict"
call 'outside, above' 422 point-outside -F image=@cat.jpg -F x=0 -F y=-1 "$base/predict"
call 'x without y' 422 bad-parameter -F image=@cat.jpg -F x=220 "$base/predict"
call 'NaN' 422 bad-parameter -F image=@cat.jpg -F x=NaN -F y=120 "$base/predict"
call 'infinite' 422 bad-parameter -F image=@cat.jpg -F x=1e999 -F y=120 "$base/predict"
call 'text' 422 bad-parameter -F image=@cat.jpg -F x=left -F y=120 "$base/predict"
call 'a truth value' 422 bad-parameter "${as_json[@]}" \
    --data-binary "@$(json '{"image":"' "$base64" '","x":true,"y":1}')" "$base/predict"
call 'a point, and points' 422 bad-parameter -F image=@cat.jpg -F x=1 -F y=1 -F 'points=[[1,1]]' \
    "$base/predict"
call 'no points in the list' 422 bad-parameter -F image=@cat.jpg -F 'points=[]' "$base/predict"
call 'sixteen points' 200 '"points":[' -F image=@cat.jpg -F "points=$many,[14,14],[15,15],[16,16]]" \
    "$base/predict"
call 'too many points' 422 bad-parameter -F image=@cat.jpg \
    -F "points=$many,[14,14],[15,15],[16,16],[17,17]]" "$base/predict"
call 'points that are broken JSON' 422 bad-parameter -F image=@cat.jpg -F 'points=[[1,1]' \
    "$base/predict"

echo '# Deadline and number of labels'
call 'a deadline of its own' 200 '"timing_ms":' -F image=@cat.jpg -F timeout_ms=20000 "$base/predict"
call 'the same, as a header' 200 '"timing_ms":' -F image=@cat.jpg \
    -H 'X-Request-Timeout-Ms: 20000' "$base/predict"
call 'a deadline that is too long' 422 bad-parameter -F image=@cat.jpg -F timeout_ms=30001 \
    "$base/predict"
call 'no time at all' 422 bad-parameter -F image=@cat.jpg -F timeout_ms=0 "$base/predict"
call 'all 42 themes, not the five likeliest' 200 Aviation -F image=@cat.jpg \
    -F top_k=42 "$base/predict"
call 'no label' 422 bad-parameter -F image=@cat.jpg -F top_k=0 "$base/predict"
call 'half a label' 422 bad-parameter -F image=@cat.jpg -F top_k=1.5 "$base/predict"

echo '# The answer later'
call 'respond-async' 202 '"result":"/results/' -F image=@cat.jpg -F x=220 -F y=120 \
    -H 'Prefer: respond-async' "$base/predict"
result=$base$(tr -d '\r' <"$work/header" | sed -n 's/^[Ll]ocation: //p')
for _ in $(seq 100); do # until it is there
    [ "$(curl --silent --output /dev/null --write-out '%{http_code}' "$result")" = 202 ] || break
    sleep 0.1
done
call 'its result' 200 '"x":220' "$result"
call 'a result that there is not' 404 not-found "$base/results/0123456789abcdef0123456789abcdef"

echo '# Images'
call 'no image in the form' 400 malformed-body -F x=1 -F y=1 "$base/predict"
call 'no body' 422 undecodable-image -X POST "$base/predict"
call 'an empty file' 422 undecodable-image -F "image=@$work/empty" "$base/predict"
call 'text as an image' 415 unsupported-image -F "image=@$work/text.jpg" "$base/predict"
call 'a photo that ends early' 422 undecodable-image -F "image=@$work/cut.jpg" "$base/predict"
call 'too large a body' 413 '"success": false' --data-binary "@$work/large" "$base/predict"
call 'too large a file in a form' 413 '"success": false' -F "image=@$work/large" "$base/predict"

echo '# JSON'
call 'broken' 400 malformed-body "${as_json[@]}" -d '{"image": ' "$base/predict"
call 'not an object' 400 malformed-body "${as_json[@]}" -d '[1, 2]' "$base/predict"
call 'a key twice' 400 malformed-body "${as_json[@]}" -d '{"image":"AA==","image":"AA=="}' \
    "$base/predict"
call 'NaN' 400 malformed-body "${as_json[@]}" -d '{"image":"AA==","x":NaN,"y":1}' "$base/predict"
call 'no image' 400 malformed-body "${as_json[@]}" -d '{"x":1,"y":1}' "$base/predict"
call 'an image that is not base64' 400 malformed-body "${as_json[@]}" -d '{"image":"?!"}' \
    "$base/predict"
call 'a path, where no media folder is' 404 no-such-image "${as_json[@]}" \
    -d '{"image_path":"cat.jpg"}' "$base/predict"

echo '# TensorFlow Serving'
v1=$base/v1/models/tags
photo='{"b64":"'$base64'"}'
call 'status' 200 '"AVAILABLE"' "$v1"
call 'status of a version' 200 '"version":"1"' "$v1/versions/1"
call 'metadata' 200 serving_default "$v1/metadata"
call 'by row' 200 '"predictions":[{"themes":[' --data-binary \
    "@$(json '{"instances":[' "$photo" ',' "$photo" ']}')" "$v1:predict"
call 'by column' 200 '"outputs":{"themes":[[' --data-binary \
    "@$(json '{"inputs":{"image":[' "$photo" ']}}')" "$v1/versions/1:predict"
call 'classes' 200 '["Cats",' --data-binary \
    "@$(json '{"examples":[{"image":' "$photo" '}]}')" "$v1:classify"
call 'no instances' 400 '"error": ' -d '{"instances":[]}' "$v1:predict"
call 'not base64' 400 '"error": ' -d '{"instances":[{"b64":"?"}]}' "$v1:predict"
call 'metadata of a version' 200 serving_default "$v1/versions/1/metadata"
call 'classes by a version' 200 '["Cats",' --data-binary \
    "@$(json '{"examples":[{"image":' "$photo" '}]}')" "$v1/versions/1:classify"
call 'no such version' 404 '"error": ' -d '{}' "$v1/versions/99:predict"
call 'no such label' 404 '"error": ' "$v1/labels/none"
call 'its metadata' 404 '"error": ' "$v1/labels/none/metadata"
call 'by row' 404 '"error": ' -d '{}' "$v1/labels/none:predict"
call 'classes' 404 '"error": ' -d '{}' "$v1/labels/none:classify"
call 'no such model' 404 '"error": ' "$base/v1/models/nothing"

echo '# Open Inference Protocol'
v2=$base/v2/models/tags
image='{"name":"image","shape":[1],"datatype":"BYTES","data":["'$base64'"]}'
call 'server' 200 binary_tensor_data "$base/v2"
call 'live' 200 '"live":true' "$base/v2/health/live"
call 'ready' 200 '"ready":true' "$base/v2/health/ready"
call 'model' 200 '"platform":' "$v2"
call 'version of a model' 200 '"platform":' "$v2/versions/1"
call 'model ready' 200 '"ready":true' "$v2/ready"
call 'version ready' 200 '"ready":true' "$v2/versions/1/ready"
call 'infer by a version' 200 '"shape":[1,42]' --data-binary "@$(json '{"inputs":[' "$image" ']}')" \
    "$v2/versions/1/infer"
call 'infer' 200 '"shape":[1,42]' --data-binary "@$(json '{"inputs":[' "$image" ']}')" "$v2/infer"
call 'infer classes' 200 ':Cats"' --data-binary \
    "@$(json '{"parameters":{"classification":2},"inputs":[' "$image" ']}')" "$v2/infer"
call 'no inputs' 400 '"error": ' -d '{"inputs":[]}' "$v2/infer"
call 'no such output' 400 '"error": ' --data-binary \
    "@$(json '{"inputs":[' "$image" '],"outputs":[{"name":"x"}]}')" "$v2/infer"
call 'no such model' 404 '"error": ' "$base/v2/models/nothing"

echo '# Digits, and what was chosen'
for patience in {60..0}; do # workers of the other models start after those of the first
    ready=$(curl --silent --max-time 5 --output "$work/body" --write-out '%{http_code}' \
        "$base/v2/models/digits/ready")
    [ "$ready" != 503 ] || [ "$patience" = 0 ] && break
    [ "$patience" != 60 ] || echo 'waiting for a worker that serves digits'
    sleep 1
done
if [ "$ready" = 200 ]; then
    # The digit service's own example, a nine.
    nine=iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAAA8klEQVR4nGNgGKZAxaLz5PF4VWxSujNe/QOBX5en
    nine+=s6FJ6c388O/f42Wtv0/8e/owA1VuJlDX7j4OBob9Gse+3f8riiTFUff338sGbhDzkrYb0GhkSY/P/56YgRjMCiUP
    nine+=P/37v4gVSdL7w7/7uV2bNq289Ps5UN8LNWQbOdd/+fv/37/fYNf+WS2J5liBjsMbJs08AZKcJoA9FBb9+/cxmRm7
    nine+=XNmvf/+isEsxpHz69+8yO3Y5s4///n2yxqGx+d+/Lw445Hh//vs3A4ccz5N//y5w4JD0AwaCEw45hov//nXikmN4
    nine+=/P8leqghQOH/HJxy2AAAN2h6d/tZuR8AAAAASUVORK5CYII=
    call 'a digit' 200 '"label":"9"' "${as_json[@]}" -d '{"image":"'"$nine"'"}' "$base/recognize"
    call 'any model by its name' 200 '"model":"digits"' "${as_json[@]}" -d '{"image":"'"$nine"'"}' \
        "$base/predict/digits"
    call 'not a digit' 400 undecodable-image "${as_json[@]}" -d '{"image":""}' "$base/recognize"
    call 'no field' 400 malformed-body "${as_json[@]}" -d '{}' "$base/recognize"
else
    echo 'left out: no worker serves digits'
fi
call 'feedback, where none is kept' 501 feedback-off \
    -d '{"request_id":"x","chosen":{"themes":"Cats"}}' "$base/feedback"

echo '# Wrong address, wrong method'
call 'no such address' 404 not-found "$base/nothing"
call 'no such model' 404 not-found -F image=@cat.jpg "$base/predict/nothing"
call 'GET where POST is meant' 405 'Allow: ' "$base/predict"
call 'POST where GET is meant' 405 'Allow: ' -d '' "$base/livez"
call 'DELETE of a result' 405 'Allow: ' -X DELETE "$base/results/1"

echo
echo "$calls calls, $wrong wrong"
[ "$wrong" = 0 ]
