# Join all pages but drafts: sh join.sh OUTPUT
cat pages/[0-9]*.md > "$1"
