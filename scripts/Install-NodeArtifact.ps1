<#
.SYNOPSIS
Downloads artifacts, checks them, and puts their files into place.
.DESCRIPTION
What the manifest says is installed with the wanted checksum, and whose files are there, is left alone. A download goes
to a folder of its own first; nothing is put into place before its checksum fits. See README.md for the JSON.
.PARAMETER Request
JSON object: artifacts, manifest, proxy.
.EXAMPLE
powershell.exe -File Install-NodeArtifact.ps1 -Request (Get-Content -Raw -Path C:\k\artifacts.json)
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param([Parameter(Mandatory = $true)][string]$Request)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$Tries = 5

function Read-Manifest {
    param([string]$Path)
    $known = @{}
    if (Test-Path -Path $Path) {
        $parsed = ConvertFrom-Json -InputObject ((Get-Content -Path $Path) -join "`n")
        foreach ($item in @($parsed.artifacts)) { $known[$item.name] = $item }
    }
    return $known
}

function Test-Installed {
    param($Artifact, $Known)
    if (-not $Known.ContainsKey($Artifact.name)) { return $false }
    $entry = $Known[$Artifact.name]
    if ($entry.checksum -ne $Artifact.checksum -or $entry.url -ne $Artifact.url) { return $false }
    foreach ($file in @($entry.files)) {
        if (-not (Test-Path -Path $file.path)) { return $false }
        if ((Get-FileHash -Path $file.path -Algorithm SHA256).Hash -ne $file.sha256) { return $false }
    }
    return $true
}

function Save-Artifact {
    param($Artifact, [string]$Path, [string]$Proxy)
    $options = @{ Uri = $Artifact.url; OutFile = $Path; UseBasicParsing = $true }
    if ($Proxy) { $options.Proxy = $Proxy }
    for ($try = 1; ; $try++) {
        try {
            Invoke-WebRequest @options
            break
        }
        catch {
            if ($try -ge $Tries) { throw "WN0201 $($Artifact.url) cannot be downloaded: $($_.Exception.Message)" }
            Start-Sleep -Seconds 3
        }
    }
    $found = (Get-FileHash -Path $Path -Algorithm $Artifact.algorithm.ToUpperInvariant()).Hash
    if ($found -ne $Artifact.checksum) {
        $sums = "expected $($Artifact.checksum), found $($found.ToLowerInvariant())"
        throw "WN0202 $($Artifact.name): wrong $($Artifact.algorithm) of $Path from $($Artifact.url): $sums"
    }
}

function Expand-Artifact {
    param($Artifact, [string]$Path, [string]$Folder)
    if ($Artifact.unpack -eq 'none') { return }
    if ($Artifact.unpack -eq 'zip') {
        Expand-Archive -Path $Path -DestinationPath $Folder -Force
        return
    }
    & tar.exe @('-xzf', $Path, '-C', $Folder)
    if ($LASTEXITCODE -ne 0) { throw "WN0203 $($Artifact.name): tar ended with $LASTEXITCODE" }
}

function Install-Artifact {
    param($Artifact, [string]$Proxy)
    $folder = "C:\k\download\$([guid]::NewGuid().ToString('N'))"
    New-Item -Path $folder -ItemType Directory -Force | Out-Null
    try {
        $archive = "$folder\artifact"
        if ($Artifact.unpack -eq 'zip') { $archive = "$folder\artifact.zip" }
        Save-Artifact -Artifact $Artifact -Path $archive -Proxy $Proxy
        $unpacked = "$folder\files"
        New-Item -Path $unpacked -ItemType Directory -Force | Out-Null
        Expand-Artifact -Artifact $Artifact -Path $archive -Folder $unpacked
        $sources = @{}
        foreach ($file in @($Artifact.files)) {
            $source = $archive
            if ($file.from) { $source = "$unpacked\$($file.from.Replace('/', '\'))" }
            if (-not (Test-Path -Path $source)) { throw "WN0203 $($Artifact.name) has no member $($file.from)" }
            $sources[$file.to] = $source
        }
        $placed = @()
        foreach ($target in $sources.Keys) {
            New-Item -Path (Split-Path -Path $target -Parent) -ItemType Directory -Force | Out-Null
            Copy-Item -Path $sources[$target] -Destination $target -Force
            # An archive's dates are years old; whoever watches this file has to see that it is new.
            (Get-Item -Path $target).LastWriteTime = Get-Date
            $placed += [ordered]@{ path = $target; sha256 = (Get-FileHash -Path $target -Algorithm SHA256).Hash }
        }
        return [ordered]@{
            name = $Artifact.name
            url = $Artifact.url
            algorithm = $Artifact.algorithm
            checksum = $Artifact.checksum
            files = $placed
        }
    }
    finally {
        Remove-Item -Path $folder -Recurse -Force
    }
}

function Read-Request {
    param([string]$Text, [string[]]$Fields)
    try { $parsed = ConvertFrom-Json -InputObject $Text }
    catch { throw "WN0001 the request is no JSON: $($_.Exception.Message)" }
    foreach ($field in $Fields) {
        if ($null -eq $parsed.PSObject.Properties[$field]) { throw "WN0001 the request lacks the field $field" }
    }
    return $parsed
}

[Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
$ProgressPreference = 'SilentlyContinue'
$wanted = Read-Request -Text $Request -Fields @('artifacts', 'manifest', 'proxy')
$known = Read-Manifest -Path $wanted.manifest
$results = @()
foreach ($artifact in @($wanted.artifacts)) {
    $missing = -not (Test-Installed -Artifact $artifact -Known $known)
    if ($missing -and $PSCmdlet.ShouldProcess($artifact.name, 'install')) {
        $known[$artifact.name] = Install-Artifact -Artifact $artifact -Proxy $wanted.proxy
        $manifest = [ordered]@{ artifacts = @($known.Keys | Sort-Object | ForEach-Object { $known[$_] }) }
        Set-Content -Path $wanted.manifest -Value (ConvertTo-Json -InputObject $manifest -Depth 6) -Encoding Ascii
    }
    $results += [ordered]@{ name = $artifact.name; changed = $missing }
}
$answer = [ordered]@{
    changed = @($results | Where-Object { $_.changed }).Count -gt 0
    artifacts = $results
}
ConvertTo-Json -InputObject $answer -Compress -Depth 5
