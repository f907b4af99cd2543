<#
.SYNOPSIS
Writes folders and text files, without a byte-order mark, and only where they differ.
.DESCRIPTION
flanneld and the CNI plug-ins refuse files with a byte-order mark, which PowerShell's own commands write. Files that
are secret get an access list with SYSTEM and Administrators alone before their content. See README.md for the JSON.
.PARAMETER Request
JSON object: folders, files.
.EXAMPLE
powershell.exe -File Set-NodeFile.ps1 -Request '{"folders": ["C:\\k"], "files": []}'
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param([Parameter(Mandatory = $true)][string]$Request)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

function Add-Folder {
    param([string]$Path)
    if (Test-Path -Path $Path) { return $false }
    if ($PSCmdlet.ShouldProcess($Path, 'make folder')) {
        New-Item -Path $Path -ItemType Directory -Force | Out-Null
    }
    return $true
}

function Test-Content {
    param([string]$Path, [byte[]]$Wanted)
    if (-not (Test-Path -Path $Path)) { return $false }
    $digest = [System.Security.Cryptography.SHA256]::Create().ComputeHash($Wanted)
    $hash = [System.BitConverter]::ToString($digest).Replace('-', '')
    return (Get-FileHash -Path $Path -Algorithm SHA256).Hash -eq $hash
}

function Protect-File {
    param([string]$Path)
    & icacls.exe @($Path, '/inheritance:r', '/grant:r', '*S-1-5-18:F', '/grant:r', '*S-1-5-32-544:F') | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "WN0301 icacls ended with $LASTEXITCODE for $Path" }
}

function Write-NodeFile {
    param($File)
    $bytes = (New-Object -TypeName System.Text.UTF8Encoding -ArgumentList $false).GetBytes($File.content)
    if (Test-Content -Path $File.path -Wanted $bytes) { return $false }
    if ($PSCmdlet.ShouldProcess($File.path, 'write')) {
        New-Item -Path (Split-Path -Path $File.path -Parent) -ItemType Directory -Force | Out-Null
        $part = "$($File.path).part"
        Set-Content -Path $part -Value ([byte[]]@()) -Encoding Byte
        if ($File.secret) { Protect-File -Path $part }
        Set-Content -Path $part -Value $bytes -Encoding Byte
        Move-Item -Path $part -Destination $File.path -Force
    }
    return $true
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

$wanted = Read-Request -Text $Request -Fields @('folders', 'files')
$folders = @(@($wanted.folders) | Where-Object { Add-Folder -Path $_ })
$files = @(@($wanted.files) | Where-Object { Write-NodeFile -File $_ } | ForEach-Object { $_.path })
$answer = [ordered]@{
    changed = ($folders.Count + $files.Count) -gt 0
    files = $files
}
ConvertTo-Json -InputObject $answer -Compress -Depth 5
